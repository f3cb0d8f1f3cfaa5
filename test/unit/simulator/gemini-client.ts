import { GoogleGenAI, type BatchJob, type InlinedRequest } from '@google/genai'
import type { Simulator } from '../../../src/simulator/index.ts'

export const MODEL = 'gemini-2.5-flash'
export const EMBEDDER = 'gemini-embedding-001'

export function clientFor(simulator: Simulator, options: { apiKey?: string; apiVersion?: string } = {}): GoogleGenAI {
  return new GoogleGenAI({ apiKey: 'AIza-test', ...options, httpOptions: { baseUrl: simulator.baseUrl('gemini') } })
}

/** As the SDK spells a prompt. */
export function bodyOf(text: string, more: Record<string, unknown> = {}): Record<string, unknown> {
  return { contents: [{ parts: [{ text }], role: 'user' }], ...more }
}

export function inlined(...prompts: readonly string[]): InlinedRequest[] {
  return prompts.map((prompt, index) => ({ contents: prompt, metadata: { key: `r${index + 1}` } }))
}

/** Rows as an uploaded file has them. */
export function linesOf(...bodies: readonly unknown[]): string {
  return bodies.map((request, index) => JSON.stringify({ key: `r${index + 1}`, request })).join('\n')
}

export async function uploadText(client: GoogleGenAI, text: string, displayName?: string): Promise<string> {
  const config = { mimeType: 'application/jsonl', ...(displayName === undefined ? {} : { displayName }) }
  const { name } = await client.files.upload({ file: new Blob([text]), config })
  return String(name)
}

/** A batch whose input is a file. */
export async function createFromFile(client: GoogleGenAI, text: string): Promise<BatchJob> {
  return client.batches.create({ model: MODEL, src: { fileName: await uploadText(client, text) } })
}

const FINAL = new Set(['SUCCEEDED', 'FAILED', 'CANCELLED', 'EXPIRED'])

/** Looks at a batch until it has ended. */
export async function untilEnded(client: GoogleGenAI, { name = '' }: BatchJob): Promise<BatchJob> {
  for (let look = 0; look < 20; look++) {
    const batch = await client.batches.get({ name })
    if (FINAL.has(String(batch.state).replace('JOB_STATE_', ''))) return batch
  }
  throw new Error(`${name} does not end`)
}

export interface Answered {
  readonly status: number
  readonly headers: Headers
  readonly body: unknown
}

/** A call as any HTTP client makes it. */
export async function call(
  simulator: Simulator,
  method: string,
  path: string,
  { body, headers = {} }: { body?: unknown; headers?: Record<string, string> } = {},
): Promise<Answered> {
  const response = await fetch(simulator.baseUrl('gemini') + path, {
    method,
    headers: { 'x-goog-api-key': 'AIza-test', 'content-type': 'application/json', ...headers },
    ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  })
  const text = await response.text()
  return { status: response.status, headers: response.headers, body: text === '' ? {} : JSON.parse(text) }
}

export interface ResultRow {
  readonly key: string
  readonly response?: Record<string, unknown>
  readonly error?: { readonly code: number; readonly message: string }
}

/** The text of a result file. */
export async function download(simulator: Simulator, name: string): Promise<string> {
  const response = await fetch(`${simulator.baseUrl('gemini')}/download/v1beta/${name}:download?alt=media`, {
    headers: { 'x-goog-api-key': 'AIza-test' },
  })
  if (!response.ok) throw new Error(`${response.status}: ${await response.text()}`)
  return response.text()
}

export async function rowsOf(simulator: Simulator, batch: BatchJob): Promise<readonly ResultRow[]> {
  const text = await download(simulator, String(batch.dest?.fileName))
  const lines = text.split('\n').filter((line) => line !== '')
  return lines.map((line) => JSON.parse(line) as ResultRow) // what the simulator wrote, checked by the assertions on it
}
