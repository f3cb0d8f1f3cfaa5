import { refuse } from './envelope.ts'

export interface Page<T> {
  readonly page: readonly T[]
  readonly nextPageToken: string | undefined
}

/** The part of a list that `pageSize` and `pageToken` ask for; more than `most` is as good as `most` [spec: AIP-158]. */
export function pageOf<T>(items: readonly T[], query: URLSearchParams, usual: number, most: number): Page<T> {
  const asked = Number(query.get('pageSize') ?? 0)
  if (!Number.isInteger(asked) || asked < 0) return refuse(400, 'Invalid value for page_size: it must not be negative.')
  const size = Math.min(asked === 0 ? usual : asked, most)
  const from = offsetOf(query.get('pageToken'))
  const until = from + size
  return { page: items.slice(from, until), nextPageToken: until < items.length ? tokenOf(until) : undefined }
}

function tokenOf(offset: number): string {
  return Buffer.from(`from:${offset}`).toString('base64url')
}

function offsetOf(token: string | null): number {
  if (token === null || token === '') return 0
  const offset = /^from:(\d+)$/.exec(Buffer.from(token, 'base64url').toString())?.[1]
  return offset === undefined ? refuse(400, 'Invalid page token.') : Number(offset)
}
