import { randomBytes } from 'node:crypto'
import type { StoredFile } from '../file-store.ts'

/** Times on the wire are whole seconds. */
export const seconds = (ms: number): number => Math.floor(ms / 1000)

export const randomHex = (bytes: number): string => randomBytes(bytes).toString('hex')

/** A whole number in a query; NaN, which no range contains, for anything else. */
export function integer(text: string | null): number | undefined {
  if (text === null) return undefined
  return /^\d+$/.test(text) ? Number(text) : Number.NaN
}

/** A part of a list, and whether there is more of it. */
export interface Page<T> {
  readonly items: readonly T[]
  readonly more: boolean
}

/** At most `limit` items from behind the one called `after`; undefined when there is no such item. */
export function pageAfter<T extends { readonly id: string }>(
  items: readonly T[],
  after: string | null,
  limit: number,
): Page<T> | undefined {
  const from = after === null ? 0 : items.findIndex(({ id }) => id === after) + 1
  if (after !== null && from === 0) return undefined
  return { items: items.slice(from, from + limit), more: from + limit < items.length }
}

/** The envelope OpenAI puts around a page. */
export function listObject(
  page: Page<{ readonly id: string }>,
  data: readonly Record<string, unknown>[],
): Record<string, unknown> {
  return {
    object: 'list',
    data,
    first_id: page.items[0]?.id ?? null,
    last_id: page.items.at(-1)?.id ?? null,
    has_more: page.more,
  }
}

/** What every one of them says of a file. */
export async function fileObject(file: StoredFile): Promise<Record<string, unknown>> {
  return {
    id: file.id,
    object: 'file',
    bytes: await file.bytes(),
    created_at: seconds(file.createdAt),
    filename: file.name,
    purpose: file.purpose,
  }
}
