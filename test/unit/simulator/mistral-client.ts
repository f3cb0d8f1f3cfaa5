import { Mistral } from '@mistralai/mistralai'
import type { BatchJob } from '@mistralai/mistralai/models/components'
import type { Simulator } from '../../../src/simulator/index.ts'

export interface Row {
  readonly customId: string
  readonly body: Record<string, unknown>
}

/** The official SDK, which does not retry and refuses replies that are not of its types. */
export function clientFor(simulator: Simulator, apiKey = 'test-key'): Mistral {
  return new Mistral({ apiKey, serverURL: simulator.baseUrl('mistral') })
}

export function chatBody(content: string, more: Record<string, unknown> = {}): Record<string, unknown> {
  return { model: 'mistral-small-latest', messages: [{ role: 'user', content }], ...more }
}

export function chatRows(...prompts: readonly string[]): Row[] {
  return prompts.map((prompt, index) => ({ customId: `r${index + 1}`, body: chatBody(prompt) }))
}

export function createJob(client: Mistral, requests: Row[], more: Record<string, unknown> = {}): Promise<BatchJob> {
  return client.batch.jobs.create({ endpoint: '/v1/chat/completions', requests, ...more })
}

export async function uploadRows(client: Mistral, rows: readonly Row[]): Promise<string> {
  const lines = rows.map(({ customId, body }) => JSON.stringify({ custom_id: customId, body }))
  const file = { fileName: 'input.jsonl', content: new Blob([lines.join('\n')]) }
  return (await client.files.upload({ purpose: 'batch', file })).id
}

const FINAL = new Set<string>(['SUCCESS', 'FAILED', 'TIMEOUT_EXCEEDED', 'CANCELLED'])

export async function untilEnded(client: Mistral, jobId: string): Promise<BatchJob> {
  for (let look = 0; look < 20; look++) {
    const job = await client.batch.jobs.get({ jobId })
    if (FINAL.has(job.status)) return job
  }
  throw new Error(`job ${jobId} does not end`)
}

export interface ResultRow {
  readonly id: string
  readonly custom_id: string | null
  readonly response: { readonly status_code: number; readonly body: Record<string, unknown> } | null
  readonly error: unknown
}

/** The rows of a result file; none when there is no such file. */
export async function rowsOf(client: Mistral, fileId: string | null | undefined): Promise<readonly ResultRow[]> {
  if (!fileId) return []
  const text = await new Response(await client.files.download({ fileId })).text()
  const lines = text.split('\n').filter((line) => line !== '')
  return lines.map((line) => JSON.parse(line) as ResultRow) // what the simulator wrote, checked by the assertions on it
}

/** A call that the SDK would not make. */
export async function raw(
  simulator: Simulator,
  path: string,
  body?: unknown,
  headers: Record<string, string> = { authorization: 'Bearer test-key' },
): Promise<{ readonly status: number; readonly body: unknown }> {
  const init =
    body === undefined ? {} : { method: 'POST', body: typeof body === 'string' ? body : JSON.stringify(body) }
  const response = await fetch(simulator.baseUrl('mistral') + path, { headers, ...init })
  return { status: response.status, body: await response.json() }
}
