import type { ProviderAdapter } from '../../core/adapter.ts'
import type { Clock } from '../../core/clock.ts'
import type { DryRunReport, Estimate } from '../../core/dry-run.ts'
import type { JobId } from '../../core/job.ts'
import type { Reply } from '../../core/reply.ts'
import type { CapturedRequest, PassReason, Target } from '../../core/request.ts'
import type { Found, StoredAnswers } from '../../core/store.ts'
import { Accounts, fingerprint, lineBytes, modelOf } from '../accounts.ts'
import { whyNotBatched } from '../admission.ts'
import { Caller } from '../caller.ts'
import type { ManagerSettings } from '../context.ts'
import { faultMessage } from '../fault-message.ts'
import { Occurrences } from '../occurrences.ts'
import type { JobQueue, JobSize } from '../queue.ts'
import { answerReply, problemAnswer } from '../replies.ts'
import { PassThroughs } from './pass-throughs.ts'
import { GroupTally, Tally } from './tally.ts'
import { Wave } from './wave.ts'

export interface DryRunOptions {
  readonly adapters: ReadonlyMap<string, ProviderAdapter>
  /** What earlier runs have been answered. Only looked into. */
  readonly answers: StoredAnswers
  readonly clock: Clock
  readonly settings: ManagerSettings & { readonly retentionMs: number }
  readonly estimate: Estimate
  /** Resolves once `estimate` is as good as it gets. */
  readonly ready: Promise<unknown>
  /** ISO date on which the prices were last checked. */
  readonly pricesChecked: string
}

/** A request that waits for the end of its wave. */
interface Asked extends JobSize {
  readonly request: CapturedRequest
  readonly adapter: ProviderAdapter
  readonly queue: JobQueue
  readonly model: string
  readonly fingerprint: string
  readonly occurrence: number
  readonly resolve: (reply: Reply) => void
}

const MS_PER_DAY = 86_400_000
const OF_NO_JOB = { job: undefined, batch: undefined, cache: 'miss' } as const

/**
 * Takes the manager's place: lets requests in as it does and groups them as it would, and counts them. Nothing is sent and nothing stored;
 * callers get the answers of earlier runs, or stubs.
 */
export class DryRun {
  readonly #options: DryRunOptions
  readonly #accounts: Accounts
  readonly #occurrences = new Occurrences()
  readonly #wave: Wave
  readonly #totals = new Tally()
  readonly #groups = new Map<string, GroupTally>()
  readonly #passed = new PassThroughs()
  #asked: Asked[] = []
  #isReady = false
  #isOver = false
  #stoppedBy: string | undefined

  constructor(options: DryRunOptions) {
    const { answers, clock, settings, ready } = options
    this.#options = options
    const stopping = AbortSignal.abort()
    const fetch = (): Promise<never> => Promise.reject(new Error('a dry run calls nobody'))
    this.#accounts = new Accounts(answers.salt, new Caller({ fetch, now: () => clock.now(), stopping }), settings)
    this.#wave = new Wave(clock, () => void this.flush())
    const begin = (): void => void (this.#isReady = true)
    ready.then(begin, begin)
  }

  /** Takes a request; its reply comes when its wave is over. undefined: no provider of ours. */
  submit(request: CapturedRequest): Promise<Reply> | undefined {
    const { target, json } = request
    const adapter = this.#options.adapters.get(target.provider)
    if (!adapter) return undefined
    const model = modelOf(request)
    const bytes = lineBytes(request.body)
    if (this.#isOver)
      return Promise.resolve(this.#refuse(adapter, { ...target, model }, 'scope-closed', 'the scope has ended'))
    const detail = whyNotBatched(adapter, request, bytes)
    if (detail !== undefined)
      return Promise.resolve(this.#refuse(adapter, { ...target, model }, 'not-admitted', detail))

    const queue = this.#accounts.queueFor(request, adapter)
    const print = fingerprint(request, queue.account)
    const occurrence = request.occurrence ?? this.#occurrences.of(request, print)
    const weight = adapter.weigh?.(json, target) ?? 1
    return new Promise((resolve) => {
      this.#asked.push({ request, adapter, queue, model, fingerprint: print, occurrence, bytes, weight, resolve })
      this.#wave.arrived()
    })
  }

  /** The reply to a call that no batch can carry, and that would have gone to its provider; undefined: no provider of ours. */
  instead(target: Target, reason: PassReason, detail: string): Reply | undefined {
    const adapter = this.#options.adapters.get(target.provider)
    return adapter && this.#refuse(adapter, target, reason, detail)
  }

  /** Answers everybody who waits, as if nothing more were to come. */
  async flush(): Promise<void> {
    if (!this.#isReady) await this.#options.ready.catch(() => undefined)
    this.#answer(this.#take())
  }

  get pending(): number {
    return this.#asked.length
  }

  /** Answers everybody who waits, and takes no more. */
  async close(): Promise<void> {
    while (this.pending > 0) await this.flush()
    this.#isOver = true
  }

  /** Ends at once. `stoppedBy`: why the program is counted no further; whoever still waits is counted, and refused. */
  stop(stoppedBy?: string): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#wave.stop()
    const left = this.#take()
    this.#stoppedBy = stoppedBy ?? (left.length > 0 ? 'its scope ended before all its calls were answered' : undefined)
    const message = 'offpeak: its scope ended before this request was answered; being a dry run, nothing was sent'
    try {
      this.#count(left)
    } catch {
      // A store that cannot be read: what was counted before stands.
    }
    for (const asked of left) {
      const { adapter } = asked
      const answer = problemAnswer(adapter, { status: 499, code: 'scope_closed', message })
      asked.resolve(answerReply(adapter, answer, OF_NO_JOB))
    }
  }

  report(): DryRunReport {
    const { clock, pricesChecked: checked } = this.#options
    return {
      groups: [...this.#groups].sort(byName).map(([, group]) => group.group()),
      totals: this.#totals.sums(),
      wouldPassThrough: this.#passed.list(),
      prices: { checked, ageDays: Math.max(0, Math.floor((clock.now() - Date.parse(checked)) / MS_PER_DAY)) },
      ...(this.#stoppedBy === undefined ? {} : { stoppedBy: this.#stoppedBy }),
    }
  }

  /** Those of the wave whose callers have not left meanwhile. */
  #take(): readonly Asked[] {
    this.#wave.stop()
    const asked = this.#asked.filter(({ request }) => !request.cancel?.cancelled)
    this.#asked = []
    return asked
  }

  #answer(wave: readonly Asked[]): void {
    let counted: readonly Counted[]
    try {
      counted = this.#count(wave)
    } catch (error) {
      // The store cannot be read: a real run could not go on either.
      const problem = { status: 424, ...faultMessage(error) }
      for (const { adapter, resolve } of wave) resolve(answerReply(adapter, problemAnswer(adapter, problem), OF_NO_JOB))
      return
    }
    for (const { asked, found } of counted) asked.resolve(replyTo(asked, found))
  }

  /** Adds up a wave: what is stored, what is under way, and the batches that the rest needs. */
  #count(wave: readonly Asked[]): readonly Counted[] {
    const { answers, clock, settings, estimate } = this.#options
    const now = clock.now()
    const reuse = settings.cache ? 'answers' : 'unfinished'
    const counted = wave.map((asked): Counted => {
      const { fingerprint, occurrence } = asked
      return { asked, found: answers.peek({ fingerprint, occurrence, reuse }, now, now - settings.retentionMs) }
    })
    const queued = new Map<JobId, GroupTally>()
    const queues = new Set<JobQueue>()
    for (const [job, { asked, found }] of counted.entries()) {
      const { adapter, request, queue, model } = asked
      const { endpoint } = request.target
      const group = this.#groupOf(adapter.name, endpoint, model)
      if (found) {
        for (const tally of [group, this.#totals]) tally.found(found.kind)
        continue
      }
      const estimated = estimate({ provider: adapter.name, endpoint, model, at: now, body: request.json })
      for (const tally of [group, this.#totals]) tally.add(estimated)
      queue.push(job, asked, now)
      queued.set(job, group)
      queues.add(queue)
    }
    for (const queue of queues) this.#countBatches(queue, queued, now)
    return counted
  }

  #countBatches(queue: JobQueue, groups: ReadonlyMap<JobId, GroupTally>, now: number): void {
    while (queue.size().jobs > 0) {
      const taking = new Set(queue.take(now).map((job) => groups.get(job)))
      for (const group of taking) group?.addBatch()
      this.#totals.addBatch()
    }
  }

  #groupOf(provider: string, endpoint: string, model: string): GroupTally {
    const key = [provider, endpoint, model].join('\0')
    const known = this.#groups.get(key)
    if (known) return known
    const group = new GroupTally({ provider, endpoint, model })
    this.#groups.set(key, group)
    return group
  }

  #refuse(adapter: ProviderAdapter, target: Target, reason: PassReason, detail: string): Reply {
    const { endpoint, model = '' } = target
    this.#passed.add({ provider: adapter.name, endpoint, model, reason, detail })
    const message = `offpeak: this is a dry run, and no batch can carry this call: ${detail}. Outside a dry run it goes to the provider at full price; nothing was sent.`
    return answerReply(adapter, problemAnswer(adapter, { status: 400, code: 'dry_run', message }), OF_NO_JOB)
  }
}

/** In an order that does not depend on which client is quicker. */
function byName([one]: readonly [string, unknown], [other]: readonly [string, unknown]): number {
  return one < other ? -1 : 1
}

/** A request of a wave, and what the store has of it; undefined: nothing. */
interface Counted {
  readonly asked: Asked
  readonly found: Found | undefined
}

function replyTo({ adapter, request }: Asked, found: Found | undefined): Reply {
  if (found?.kind === 'answered') {
    const { answer, job, batch } = found
    return answerReply(adapter, answer, { job, batch, cache: 'hit' })
  }
  const body = adapter.stub(request.json, request.target)
  return answerReply(adapter, { status: 200, requestId: undefined, body }, OF_NO_JOB)
}
