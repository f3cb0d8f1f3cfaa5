import type { SimulatedProvider, Simulator } from '../../../src/simulator/index.ts'

/** What a provider answered, read as far as it goes. */
export interface WireReply {
  readonly status: number
  readonly headers: Headers
  readonly text: string
  /** Undefined when it is no JSON. */
  readonly json: Record<string, unknown> | undefined
}

export type Wire = (
  method: string,
  path: string,
  body?: unknown,
  headers?: Record<string, string>,
) => Promise<WireReply>

/** Plain calls to a provider, for what its SDK does not have or would not send. */
export function wireTo(simulator: Simulator, provider: SimulatedProvider, apiKey: string | null = 'sk-test'): Wire {
  return async (method, path, body, headers = {}) => {
    const response = await fetch(simulator.baseUrl(provider) + path, {
      method,
      headers: {
        ...(apiKey === null ? {} : { authorization: `Bearer ${apiKey}` }),
        ...(body === undefined || body instanceof FormData ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: body instanceof FormData ? body : JSON.stringify(body) }),
    })
    const text = await response.text()
    return { status: response.status, headers: response.headers, text, json: parsed(text) }
  }
}

/** A form with these fields, in this order, and a file at its end. */
export function formWith(fields: Readonly<Record<string, string>>, fileName: string, text: string): FormData {
  const form = new FormData()
  for (const [name, value] of Object.entries(fields)) form.set(name, value)
  form.set('file', new Blob([text]), fileName)
  return form
}

export type JsonRow = Record<string, unknown>

export function jsonLines(rows: readonly unknown[]): string {
  return rows.map((row) => (typeof row === 'string' ? row : JSON.stringify(row))).join('\n')
}

/** The rows of a JSONL text, by their `custom_id`. */
export function rowsById(text: string): ReadonlyMap<string, JsonRow> {
  const rows = text.split('\n').filter((line) => line !== '')
  // What the simulator wrote, checked by the assertions on it.
  return new Map(rows.map((line) => JSON.parse(line) as JsonRow).map((row) => [String(row['custom_id']), row]))
}

function parsed(text: string): Record<string, unknown> | undefined {
  try {
    return JSON.parse(text) as Record<string, unknown> // as above
  } catch {
    return undefined
  }
}
