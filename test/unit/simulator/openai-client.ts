import OpenAI, { toFile } from 'openai'
import type { Simulator } from '../../../src/simulator/index.ts'

export interface Row {
  readonly custom_id: string
  readonly method?: string
  readonly url?: string
  readonly body: unknown
}

type BatchEndpoint = OpenAI.BatchCreateParams['endpoint']

/** The official SDK, without retries of its own, so that a test sees every answer. */
export function clientFor(simulator: Simulator, options: { apiKey?: string; organization?: string } = {}): OpenAI {
  return new OpenAI({ apiKey: 'sk-test', maxRetries: 0, baseURL: simulator.baseUrl('openai'), ...options })
}

export function chatBody(content: string, more: Record<string, unknown> = {}): Record<string, unknown> {
  return { model: 'gpt-x', messages: [{ role: 'user', content }], ...more }
}

export function chatRows(...prompts: readonly string[]): readonly Row[] {
  return prompts.map((prompt, index) => ({ custom_id: `r${index + 1}`, body: chatBody(prompt) }))
}

export function toJsonLines(rows: readonly Row[], endpoint: BatchEndpoint = '/v1/chat/completions'): string {
  return rows.map((row) => JSON.stringify(Object.assign({ method: 'POST', url: endpoint }, row))).join('\n')
}

export async function uploadText(client: OpenAI, text: string): Promise<string> {
  const file = await client.files.create({ purpose: 'batch', file: await toFile(Buffer.from(text), 'input.jsonl') })
  return file.id
}

export async function createBatch(
  client: OpenAI,
  input: readonly Row[] | string,
  endpoint: BatchEndpoint = '/v1/chat/completions',
): Promise<OpenAI.Batch> {
  const text = typeof input === 'string' ? input : toJsonLines(input, endpoint)
  return client.batches.create({ input_file_id: await uploadText(client, text), endpoint, completion_window: '24h' })
}

const FINAL = new Set(['completed', 'failed', 'expired', 'cancelled'])

/** Looks at a batch until it has ended. */
export async function untilEnded(client: OpenAI, id: string): Promise<OpenAI.Batch> {
  for (let look = 0; look < 20; look++) {
    const batch = await client.batches.retrieve(id)
    if (FINAL.has(batch.status)) return batch
  }
  throw new Error(`batch ${id} does not end`)
}

export interface ResultRow {
  readonly id: string
  readonly custom_id: string
  readonly response: {
    readonly status_code: number
    readonly request_id: string
    readonly body: Record<string, unknown>
  } | null
  readonly error: { readonly code: string; readonly message: string } | null
}

export async function contentOf(client: OpenAI, fileId: string | null | undefined): Promise<string> {
  return fileId ? (await client.files.content(fileId)).text() : ''
}

/** The rows of a result file; none when there is no such file. */
export async function rowsOf(client: OpenAI, fileId: string | null | undefined): Promise<readonly ResultRow[]> {
  const lines = (await contentOf(client, fileId)).split('\n').filter((line) => line !== '')
  return lines.map((line) => JSON.parse(line) as ResultRow) // what the simulator wrote, checked by the assertions on it
}
