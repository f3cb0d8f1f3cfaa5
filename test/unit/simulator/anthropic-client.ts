import Anthropic from '@anthropic-ai/sdk'
import type { Simulator } from '../../../src/simulator/index.ts'

export interface Row {
  readonly custom_id: string
  readonly params: Record<string, unknown>
}

export type Result = Anthropic.Messages.MessageBatchIndividualResponse

/** The official SDK, without retries of its own, so that a test sees every answer. */
export function clientFor(simulator: Simulator, headers: Record<string, string> = {}): Anthropic {
  return new Anthropic({
    apiKey: 'sk-test',
    maxRetries: 0,
    baseURL: simulator.baseUrl('anthropic'),
    defaultHeaders: headers,
  })
}

export function params(content: string, more: Record<string, unknown> = {}): Record<string, unknown> {
  return { model: 'claude-haiku-4-5', max_tokens: 64, messages: [{ role: 'user', content }], ...more }
}

export function rowsOf(...prompts: readonly string[]): readonly Row[] {
  return prompts.map((prompt, index) => ({ custom_id: `r${index + 1}`, params: params(prompt) }))
}

/** Sends rows as they are, also those that the SDK's types would not let through. */
export async function createBatch(
  client: Anthropic,
  requests: readonly Row[],
): Promise<Anthropic.Messages.MessageBatch> {
  return client.post('/v1/messages/batches', { body: { requests } })
}

export async function untilEnded(client: Anthropic, id: string): Promise<Anthropic.Messages.MessageBatch> {
  for (let look = 0; look < 20; look++) {
    const batch = await client.messages.batches.retrieve(id)
    if (batch.processing_status === 'ended') return batch
  }
  throw new Error(`batch ${id} does not end`)
}

/** By custom id, which is how everybody should read them. */
export async function resultsOf(client: Anthropic, id: string): Promise<ReadonlyMap<string, Result['result']>> {
  const results = new Map<string, Result['result']>()
  for await (const row of await client.messages.batches.results(id)) results.set(row.custom_id, row.result)
  return results
}

/** A call that no SDK would make; returns status, headers and JSON. */
export async function raw(
  simulator: Simulator,
  path: string,
  init: RequestInit = {},
): Promise<{ readonly status: number; readonly headers: Headers; readonly body: Record<string, unknown> }> {
  const response = await fetch(simulator.baseUrl('anthropic') + path, {
    headers: { 'x-api-key': 'sk-test', 'anthropic-version': '2023-06-01' },
    ...init,
  })
  const body = (await response.json()) as Record<string, unknown> // what the simulator wrote, checked by the assertions on it
  return { status: response.status, headers: response.headers, body }
}
