import { createHmac, hash } from 'node:crypto'
import type { ProviderAdapter } from '../core/adapter.ts'
import { accountText, carriedHeaders, queueText } from '../core/queue-key.ts'
import type { CapturedRequest, HeaderPair, Target } from '../core/request.ts'
import type { Caller } from './caller.ts'
import type { Account, ManagerSettings } from './context.ts'
import { JobQueue } from './queue.ts'

/** Line overhead of the formats we know, above the body itself. */
const LINE_OVERHEAD_BYTES = 160
/** 132 bits of a SHA-256 in base64url: short enough to keep a million in memory. */
const FINGERPRINT_LENGTH = 22

interface KnownAccount extends Account {
  /** By endpoint and model. */
  readonly queues: Map<string, JobQueue>
}

/** Finds the queue a request belongs to. Two requests share one only if nothing our calls carry tells them apart. */
export class Accounts {
  readonly #salt: Uint8Array
  readonly #caller: Caller
  readonly #settings: ManagerSettings
  /** By everything that makes an account, in clear: in memory only. */
  readonly #byText = new Map<string, KnownAccount>()
  readonly #byId = new Map<string, KnownAccount>()
  /** The request before: interception knows a list of headers again, so that nearly every request has the very same one. */
  #latest:
    | { readonly target: Target; readonly headers: readonly HeaderPair[]; readonly account: KnownAccount }
    | undefined

  constructor(salt: Uint8Array, caller: Caller, settings: ManagerSettings) {
    this.#salt = salt
    this.#caller = caller
    this.#settings = settings
  }

  get all(): Iterable<Account> {
    return this.#byId.values()
  }

  *queues(): Generator<JobQueue> {
    for (const account of this.#byId.values()) yield* account.queues.values()
  }

  queueFor(request: CapturedRequest, adapter: ProviderAdapter): JobQueue {
    const account = this.#accountFor(request, adapter)
    const { endpoint } = request.target
    const model = modelOf(request)
    const key = `${endpoint}\0${model}`
    const known = account.queues.get(key)
    if (known) return known
    const queueKey = this.#keyed(queueText(account.id, endpoint, model, adapter.mixes))
    // Where models or endpoints may share a batch, they share a queue: the first target stands for all.
    const queue =
      [...account.queues.values()].find(({ target }) => target.queueKey === queueKey) ??
      new JobQueue(
        account,
        { provider: adapter.name, baseUrl: request.target.baseUrl, endpoint, model, account: account.id, queueKey },
        {
          batchSize: this.#settings.batchSize,
          batchWindowMs: this.#settings.batchWindowMs,
          maxJobs: adapter.limits.jobs,
          maxBytes: adapter.limits.bytes,
        },
      )
    account.queues.set(key, queue)
    return queue
  }

  #accountFor({ target, headers }: CapturedRequest, adapter: ProviderAdapter): KnownAccount {
    if (this.#latest?.headers === headers && this.#latest.target === target) return this.#latest.account
    const account = this.#accountOf(target, headers, adapter)
    this.#latest = { target, headers, account }
    return account
  }

  #accountOf(target: Target, headers: readonly HeaderPair[], adapter: ProviderAdapter): KnownAccount {
    const carried = carriedHeaders(headers, adapter)
    let text = `${target.provider}\0${target.baseUrl}\0${target.query}`
    for (const [name, value] of carried) text += `\0${name}:${value}`
    const known = this.#byText.get(text)
    if (known) return known
    const account = this.#open(target, carried, adapter)
    this.#byText.set(text, account)
    return account
  }

  #open(target: Target, carried: readonly HeaderPair[], adapter: ProviderAdapter): KnownAccount {
    const id = accountId(this.#salt, target, carried)
    // The same headers in another order are the same account.
    const known = this.#byId.get(id)
    if (known) return known
    const call = this.#caller.line({ baseUrl: target.baseUrl, query: target.query, headers: carried })
    const account = { id, adapter, call, queues: new Map<string, JobQueue>() }
    this.#byId.set(id, account)
    return account
  }

  #keyed(text: string): string {
    return keyed(this.#salt, text)
  }
}

/** What a store knows an account by. */
export function accountId(
  salt: Uint8Array,
  target: Pick<Target, 'provider' | 'baseUrl' | 'query'>,
  carried: readonly HeaderPair[],
): string {
  return keyed(salt, accountText(target, carried))
}

function keyed(salt: Uint8Array, text: string): string {
  return createHmac('sha256', salt).update(text).digest('hex').slice(0, 32)
}

/** '' where it names none. */
export function modelOf({ target, json: { model } }: CapturedRequest): string {
  return target.model ?? (typeof model === 'string' ? model : '')
}

/** What tells one request from another: where it goes, as whom, and every byte of it. */
export function fingerprint(request: Pick<CapturedRequest, 'target' | 'body'>, account: Pick<Account, 'id'>): string {
  const text = `${account.id}\0${request.target.endpoint}\0${request.target.model ?? ''}\0${request.body}`
  return hash('sha256', text, 'base64url').slice(0, FINGERPRINT_LENGTH)
}

/** Bytes a body takes as a line of a batch. */
export function lineBytes(body: string): number {
  return Buffer.byteLength(body) + LINE_OVERHEAD_BYTES
}
