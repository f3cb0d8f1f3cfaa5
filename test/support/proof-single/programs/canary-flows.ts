/**
 * A program that uses one key in every way it can be used, and tells on stdout whatever a program could tell: every event, every error
 * with all that hangs on it. For `canary.test.ts`, which looks for the key wherever it could be left. Node runs it as it is.
 */
import { join } from 'node:path'
import { inspect } from 'node:util'
import { batchify, type BatchifyOptions, type EventType } from '../../../../src/index.ts'
import type { Fault } from '../../../../src/simulator/index.ts'

const { PROVIDER: provider = '', CONTROLS: controls = '', KEY: key = '', UNKNOWN_KEY: unknownKey = '' } = process.env
const { FOLDER: folder = '', MARK: mark = '' } = process.env

const EVENTS: readonly EventType[] = [
  'request-queued',
  'request-joined',
  'request-cached',
  'request-passed-through',
  'request-requeued',
  'request-settled',
  'batch-submitting',
  'batch-submitted',
  'batch-progress',
  'batch-completed',
  'batch-failed',
  'batch-cancelled',
  'batch-recovered',
  'rows-missing',
  'provider-unreachable',
  'scope-closing',
]
const OPTIONS: BatchifyOptions = {
  store: join(folder, 'store', 'store.db'),
  baseUrls: { openai: [provider] },
  batchWindowMs: 1,
  pollIntervalMs: 10,
  maxPollIntervalMs: 20,
  settleMs: 20,
  leaseMs: 300,
  display: 'log',
}

/** What a provider could say that knows the key: as JSON, as a code, as a page of a proxy. */
const ECHO = JSON.stringify({
  error: { message: `Incorrect API key provided: ${key}. Header was "Bearer ${key}".`, code: `no_${key}` },
})
const PAGE = `<h1>Forbidden</h1><pre>authorization: Bearer ${key}</pre>`

interface Asking {
  readonly headers?: Readonly<Record<string, string>>
  readonly query?: string
  readonly body?: Readonly<Record<string, unknown>>
}

let asked = 0

/** A prompt of its own each time. */
async function ask({ headers = {}, query = '', body = {} }: Asking = {}): Promise<number> {
  asked += 1
  const response = await fetch(`${provider}/chat/completions${query}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json', ...headers },
    body: JSON.stringify({ model: 'gpt-4o-mini', messages: [{ role: 'user', content: `${mark} ${asked}` }], ...body }),
  })
  await response.text()
  return response.status
}

async function faults(...all: readonly Fault[]): Promise<void> {
  await fetch(`${controls}/_simulator/faults`, { method: 'DELETE' })
  await fetch(`${controls}/_simulator/faults`, { method: 'POST', body: JSON.stringify(all) })
}

function tell(what: string, value: unknown): void {
  console.log(what, inspect(value, { depth: 20, showHidden: true, maxStringLength: null }))
}

async function inScope(options: BatchifyOptions, work: () => Promise<unknown>): Promise<void> {
  // A step of its own: the block form reaches as far as the asynchronous function it is in.
  await Promise.resolve()
  const batch = batchify({ ...OPTIONS, ...options })
  for (const type of EVENTS) batch.on(type, (event) => tell('event', event))
  try {
    tell('answers', await batch.run(work))
    await batch.close()
  } catch (error) {
    tell('error', error)
  }
  tell('snapshot', batch.snapshot())
  tell('report', batch.report())
}

const FLOWS: Readonly<Record<string, () => Promise<void>>> = {
  async 'answered, and refused row by row'() {
    await faults({ kind: 'slow', ms: 30, operation: 'upload' })
    const bodies = ['400', '429', 'missing', 'corrupt'].map((word) => ({
      messages: [{ role: 'user', content: `${mark} [[simulate:${word}]]` }],
    }))
    await inScope({}, () => Promise.all([ask(), ...bodies.map((body) => ask({ body }))]))
  },
  async 'answered from the store'() {
    asked = 0
    await faults()
    await inScope({ display: 'live' }, () => ask())
  },
  async 'not batched'() {
    await inScope({}, () => ask({ body: { stream: true } }))
  },
  async 'in a query and in a header of a gateway'() {
    await faults({ kind: 'status', status: 422, operation: 'create', body: ECHO, times: 1 })
    const gateway = { 'x-gateway-key': key, authorization: 'Bearer sk-none' }
    await inScope({}, () => Promise.all([ask({ query: `?tenant=${key}` }), ask({ headers: gateway })]))
  },
  async 'unknown to the provider'() {
    await faults()
    await inScope({}, () => ask({ headers: { authorization: `Bearer ${unknownKey}` } }))
  },
  async 'repeated by a provider that refuses it'() {
    for (const operation of ['upload', 'create'] as const) {
      for (const status of [400, 401, 403, 422]) {
        for (const body of [ECHO, PAGE]) {
          await faults({ kind: 'status', status, operation, body, times: 1 })
          await inScope({}, () => ask())
        }
      }
    }
  },
  async 'repeated by a provider that fails'() {
    await faults(
      { kind: 'status', status: 500, operation: 'upload', body: ECHO, times: 1 },
      { kind: 'status', status: 500, moment: 'after', operation: 'create', body: PAGE, times: 1 },
      { kind: 'status', status: 404, operation: 'poll', body: ECHO, times: 1 },
      { kind: 'status', status: 500, operation: 'delete', body: ECHO, times: 1 },
    )
    await inScope({}, () => ask())
  },
  async 'refused by validation'() {
    await faults({ kind: 'reject', line: 1, message: 'No.', times: 2 })
    await inScope({}, () => ask())
  },
  async deferred() {
    await faults({ kind: 'status', status: 503, operation: 'poll', body: ECHO })
    await inScope({ deferred: { idleMs: 20 } }, () => ask())
  },
  async 'aborted and cancelled'() {
    await faults({ kind: 'status', status: 500, operation: ['poll', 'cancel'], body: ECHO })
    await Promise.resolve()
    const batch = batchify({ ...OPTIONS, cancelOnAbort: true })
    const submitted = new Promise((resolve) => batch.on('batch-submitted', resolve))
    const answer = batch.run(() => ask())
    await submitted
    batch.abort()
    tell('answer', await answer)
    await batch[Symbol.asyncDispose]()
  },
  async 'with a store that cannot be used'() {
    await inScopeThatFails({ store: join(folder, 'not-a-store.db') })
  },
  async 'left when the program is told to end'() {
    await faults({ kind: 'status', status: 503, operation: 'poll', body: ECHO })
    await inScope({}, async () => {
      const answer = ask()
      setTimeout(() => process.kill(process.pid, 'SIGINT'), 100)
      return answer
    })
  },
}

async function inScopeThatFails(options: BatchifyOptions): Promise<void> {
  try {
    await inScope(options, () => ask())
  } catch (error) {
    tell('error', error)
  }
}

for (const [name, flow] of Object.entries(FLOWS)) {
  console.log(`flow: ${name}`)
  await flow()
}
