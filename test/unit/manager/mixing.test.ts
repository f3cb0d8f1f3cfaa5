/**
 * Which requests may share a batch, as the providers' references tell it, against the queues the engine puts them into. The table below is
 * written from the references, not from the adapters.
 */
import { expect, test } from 'vitest'
import type { CapturedRequest, HeaderPair } from '../../../src/core/request.ts'
import { Accounts } from '../../../src/manager/accounts.ts'
import { Caller } from '../../../src/manager/caller.ts'
import type { JobQueue } from '../../../src/manager/queue.ts'
import { adapters, createMatch } from '../../../src/providers/registry.ts'
import { SETTINGS } from '../../support/engine.ts'
import { lotsOf, type Lots } from '../../support/proof-single/lots.ts'

/** One thing about a request, and whether two that differ in it may share a batch. */
interface Choice {
  readonly of: readonly Part[]
  readonly mayDiffer?: boolean
}

interface Part {
  readonly base?: string
  /** Below the base; `{model}` stands for the model. */
  readonly path?: string
  readonly query?: string
  readonly model?: string
  readonly headers?: readonly HeaderPair[]
}

const bearer = (name: string): Choice => ({
  of: ['one', 'two', 'three'].map((key) => ({ headers: [[name, name === 'authorization' ? `Bearer ${key}` : key]] })),
})
const either = (name: string, ...values: readonly string[]): Choice => ({
  of: [{}, ...values.map((value) => ({ headers: [[name, value]] as const }))],
})
const models = (mayDiffer: boolean, ...names: readonly string[]): Choice => ({
  of: names.map((model) => ({ model })),
  mayDiffer,
})
const paths = (mayDiffer: boolean, ...all: readonly string[]): Choice => ({
  of: all.map((path) => ({ path })),
  mayDiffer,
})
const bases = (...all: readonly string[]): Choice => ({ of: all.map((base) => ({ base })) })
/** Two spellings of the same thing, or what is only about one call. */
const noise = (...all: readonly (readonly HeaderPair[])[]): Choice => ({
  of: all.map((headers) => ({ headers })),
  mayDiffer: true,
})

const TELEMETRY = noise(
  [],
  [
    ['x-stainless-retry-count', '1'],
    ['traceparent', '00-1'],
    ['user-agent', 'agent/1'],
  ],
  [['x-request-id', 'r1']],
)
const TENANT = either('x-tenant', 'blue')

const SHARING: Readonly<Record<string, readonly Choice[]>> = {
  openai: [
    bearer('authorization'),
    either('openai-organization', 'org'),
    either('openai-project', 'project'),
    models(false, 'gpt-4o-mini', 'gpt-5'),
    paths(false, '/responses', '/embeddings'),
    bases('https://api.openai.com/v1', 'https://eu.api.openai.com/v1', 'http://openai.gateway.test/v1'),
    { of: [{ query: '' }, { query: '?tenant=7' }] },
  ],
  anthropic: [
    // Both forms of one key are two accounts to us: which key an opaque token stands for is not ours to guess.
    {
      of: [
        { headers: [['x-api-key', 'one']] },
        { headers: [['authorization', 'Bearer one']] },
        { headers: [['x-api-key', 'two']] },
      ],
    },
    either('anthropic-workspace-id', 'w1', 'w2'),
    {
      of: [{ headers: [['anthropic-version', '2023-06-01']] }, { headers: [['anthropic-version', '2026-10-21']] }],
    },
    either('anthropic-beta', 'a-1', 'a-1,b-2'),
    models(true, 'claude-haiku-4-5', 'claude-sonnet-4-5'),
    paths(true, '/messages'),
    bases('https://api.anthropic.com/v1', 'http://anthropic.gateway.test/v1'),
  ],
  gemini: [
    bearer('x-goog-api-key'),
    models(false, 'gemini-2.5-flash', 'gemini-2.5-pro'),
    paths(
      false,
      '/models/{model}:generateContent',
      '/models/{model}:embedContent',
      '/models/{model}:batchEmbedContents',
    ),
    bases(
      'https://generativelanguage.googleapis.com/v1',
      'https://generativelanguage.googleapis.com/v1beta',
      'http://gemini.gateway.test/v1beta',
    ),
    { of: [{ query: '' }, { query: '?key=k1' }, { query: '?key=k2' }] },
    noise([], [['x-goog-api-client', 'google-genai-sdk/3.1.0']], [['x-server-timeout', '30']]),
  ],
  groq: [
    bearer('authorization'),
    models(false, 'llama-3.3-70b-versatile', 'openai/gpt-oss-20b'),
    paths(false, '/chat/completions'),
    bases('https://api.groq.com/openai/v1', 'http://groq.gateway.test/openai/v1'),
  ],
  mistral: [
    bearer('authorization'),
    models(false, 'mistral-small-latest', 'codestral-latest'),
    paths(false, '/chat/completions', '/embeddings', '/fim/completions'),
    bases('https://api.mistral.ai/v1', 'https://api.eu.mistral.ai/v1'),
    noise([], [['cookie', '']]),
  ],
  together: [
    bearer('authorization'),
    models(false, 'meta-llama/Llama-3.3-70B-Instruct-Turbo', 'openai/gpt-oss-20b'),
    paths(false, '/chat/completions'),
    bases('https://api.together.ai/v1', 'https://api.together.xyz/v1'),
  ],
  doubleword: [
    bearer('authorization'),
    models(true, 'Qwen/Qwen3-30B', 'openai/gpt-oss-20b'),
    paths(true, '/chat/completions', '/embeddings', '/responses'),
    bases('https://api.doubleword.ai/v1', 'http://doubleword.gateway.test/v1'),
  ],
  xai: [
    bearer('authorization'),
    // xAI lets them mix, but one model it does not offer in batches cancels the whole batch and names no line.
    models(false, 'grok-4', 'grok-4-fast'),
    paths(false, '/chat/completions', '/responses'),
    bases('https://api.x.ai/v1', 'http://xai.gateway.test/v1'),
  ],
}

const ROUNDS = 10_000

test('every provider has said what may share a batch', () => {
  expect(Object.keys(SHARING)).toEqual(adapters.map(({ name }) => name))
})

test('ten thousand requests of all providers in any order: two share a queue exactly if they may share a batch', () => {
  const lots = lotsOf(7)
  const caller = new Caller({ fetch, now: Date.now, stopping: new AbortController().signal })
  const accounts = new Accounts(new Uint8Array(32), caller, SETTINGS)
  const match = createMatch(
    adapters,
    Object.fromEntries(adapters.map(({ name }) => [name, gatewaysOf(SHARING[name] ?? [])])),
  )
  const queueOf = new Map<string, JobQueue>()
  const groupOf = new Map<JobQueue, string>()

  for (let round = 0; round < ROUNDS; round += 1) {
    const adapter = adapters[lots.below(adapters.length)]
    if (!adapter) continue
    const { request, group } = drawn(adapter.name, lots)
    const target = createdBy(match, adapter.name, request)
    const queue = accounts.queueFor({ ...request, target }, adapter)
    expect(queueOf.get(group) ?? queue, `${group} has two queues`).toBe(queue)
    expect(groupOf.get(queue) ?? group, `two that may not share do`).toBe(group)
    queueOf.set(group, queue)
    groupOf.set(queue, group)
  }

  expect(queueOf.size).toBeGreaterThan(300)
  expect(new Set([...queueOf.values()].map(({ target }) => target.queueKey)).size).toBe(queueOf.size)
})

type Untargeted = Omit<CapturedRequest, 'target'>

/** A request, and the name of the group of those it may share a batch with. */
function drawn(provider: string, lots: Lots): { readonly request: Untargeted; readonly group: string } {
  const choices = [...(SHARING[provider] ?? []), TELEMETRY, TENANT]
  const taken = choices.map(({ of }) => lots.below(of.length))
  const parts = choices.map(({ of }, index) => of[taken[index] ?? 0] ?? {})
  const group = choices.flatMap(({ mayDiffer }, index) => (mayDiffer ? [] : [taken[index]]))
  // Headers apart, no two parts have a member in common.
  const { base = '', path = '', query = '', model = '' } = Object.assign({}, ...parts) as Part
  const headers = lots.shuffle(parts.flatMap((part) => part.headers ?? [])).map((header) => respelled(header, lots))
  const json = path.includes('{model}') ? { round: 1 } : { model }
  const url = `${base}${path.replace('{model}', model)}${query}`
  const request = { method: 'POST', url, headers, body: JSON.stringify(json), json }
  return { request, group: JSON.stringify([provider, ...group]) }
}

/** A list of betas in another order is the same list. */
function respelled([name, value]: HeaderPair, lots: Lots): HeaderPair {
  if (name !== 'anthropic-beta') return [name, value]
  return [name, lots.shuffle(value.split(',')).join(lots.chance(0.5) ? ', ' : ',')]
}

function createdBy(match: ReturnType<typeof createMatch>, provider: string, { method, url }: Untargeted) {
  const target = match({ method, url })
  // One gateway serves several: then the path says whose it is, or nothing does.
  if (!target) throw new Error(`nobody answers for ${url}`)
  if (target.provider !== provider) throw new Error(`${url} went to ${target.provider} instead of ${provider}`)
  return target
}

function gatewaysOf(choices: readonly Choice[]): readonly string[] {
  return choices.flatMap(({ of }) => of.flatMap(({ base }) => (base?.startsWith('http:') ? [base] : [])))
}
