import { readFileSync } from 'node:fs'
import type { BatchInput, Call, ProviderAdapter, ProviderRequest } from '../../src/core/adapter.ts'
import type { BatchState, Intent } from '../../src/core/batch.ts'
import { ProviderError } from '../../src/core/errors.ts'
import { customId } from '../../src/core/job.ts'
import { Caller, readEnvelope } from '../../src/manager/caller.ts'

/** A call over real HTTP, as the manager makes it. */
export function httpCall(baseUrl: string, options: { readonly key?: string; readonly query?: string } = {}): Call {
  const caller = new Caller({ fetch, now: Date.now, stopping: new AbortController().signal })
  const { key = 'sk-test', query = '' } = options
  return caller.line({ baseUrl, query, headers: [['authorization', `Bearer ${key}`]] })
}

export interface ScriptedCall extends Call {
  readonly requests: ProviderRequest[]
}

/** A call answered by a script instead of a provider: for replies no simulator gives. */
export function scriptedCall(answer: (request: ProviderRequest) => Response): ScriptedCall {
  const requests: ProviderRequest[] = []
  return {
    baseUrl: 'https://provider.test/v1',
    requests,
    async send(request) {
      requests.push(request)
      const response = answer(request)
      if (response.ok) return response
      const body = await response.text()
      const { code, message } = readEnvelope(body)
      throw new ProviderError(response.status, code, body, undefined, message ?? `HTTP ${response.status}`)
    },
  }
}

export function jsonResponse(value: unknown, status = 200): Response {
  return new Response(JSON.stringify(value), { status, headers: { 'content-type': 'application/json' } })
}

export function fixtureText(provider: string, name: string): string {
  return readFileSync(new URL(`../fixtures/${provider}/${name}`, import.meta.url), 'utf8')
}

export function fixtureJson(provider: string, name: string): Record<string, unknown> {
  return JSON.parse(fixtureText(provider, name)) as Record<string, unknown> // fixtures are objects
}

let intents = 0

/** An intent about to be carried out. */
export function intentFor(adapter: ProviderAdapter, change: Partial<Intent> = {}): Intent {
  intents += 1
  return {
    id: intents,
    tag: `tag${String(intents).padStart(9, '0')}`,
    provider: adapter.name,
    baseUrl: 'https://provider.test/v1',
    endpoint: '/v1/chat/completions',
    model: 'gpt-4o-mini',
    account: 'account',
    queueKey: 'queue',
    state: 'claimed',
    owner: 1,
    epoch: 1,
    window: adapter.limits.windows[0] ?? '24h',
    metadata: {},
    jobs: 0,
    upload: undefined,
    handle: undefined,
    status: undefined,
    counts: undefined,
    root: intents,
    createdAt: Date.now(),
    creatingAt: undefined,
    submittedAt: undefined,
    creates: 0,
    endedAt: undefined,
    ...change,
  }
}

/** The input of an intent whose jobs have these bodies; the first is job 1. */
export function inputOf(adapter: ProviderAdapter, intent: Intent, bodies: readonly string[]): BatchInput {
  const lines = bodies.map((body, index) =>
    adapter.line({ job: index + 1, customId: customId(intent.tag, index + 1), endpoint: intent.endpoint, body }),
  )
  const text = lines.map((line) => `${line}\n`).join('')
  return {
    jobs: lines.length,
    bytes: Buffer.byteLength(text),
    fileName: `${intent.tag}.jsonl`,
    blob: new Blob([text]),
    document: async (before, after) => new Blob([before, lines.join(','), after]),
  }
}

/** Uploads and creates, as the submitter does. */
export async function submitTo(
  adapter: ProviderAdapter,
  call: Call,
  intent: Intent,
  bodies: readonly string[],
): Promise<BatchState> {
  const input = inputOf(adapter, intent, bodies)
  const upload = await adapter.upload?.(intent, input, call)
  return adapter.create(intent, upload, async () => input, call)
}
