import type { NewJob, Placement } from '../core/store.ts'
import { about } from './about.ts'
import type { Account, ManagerContext } from './context.ts'
import type { Arrival } from './inbox.ts'
import type { Lease } from './lease.ts'
import type { Neighbours } from './neighbours.ts'
import type { JobQueue } from './queue.ts'
import { answerReply, problemAnswer } from './replies.ts'
import { faultMessage } from './fault-message.ts'
import type { Leavers } from './leavers.ts'
import type { Waiter, Waiters } from './waiters.ts'

export interface PlacerParts {
  readonly waiters: Waiters
  readonly neighbours: Neighbours
  readonly leavers: Leavers
  readonly lease: Lease
  readonly notify: (text: string) => void
}

/** Writes down what has arrived, in one transaction, and only then queues it; or finds that it is answered, or on its way, already. */
export class Placer {
  readonly #context: ManagerContext
  readonly #parts: PlacerParts
  /** Accounts whose earlier work has been looked for. */
  readonly #met = new Set<Account>()

  constructor(context: ManagerContext, parts: PlacerParts) {
    this.#context = context
    this.#parts = parts
  }

  /** Returns the queues that have grown. */
  place(arrivals: readonly Arrival[]): ReadonlySet<JobQueue> {
    const grown = new Set<JobQueue>()
    let placements: readonly Placement[]
    try {
      placements = this.#write(arrivals)
    } catch (error) {
      refuse(arrivals, error)
      return grown
    }
    for (const [index, placement] of placements.entries()) {
      const arrival = arrivals[index]
      if (arrival && this.#settle(arrival, placement)) grown.add(arrival.queue)
    }
    for (const { queue } of arrivals) this.#meet(queue.account)
    return grown
  }

  #write(arrivals: readonly Arrival[]): readonly Placement[] {
    const { store, clock, owner, settings } = this.#context
    const reuse = settings.cache ? 'answers' : 'unfinished'
    const jobs = arrivals.map(({ request, queue, model, fingerprint, occurrence }): NewJob => {
      const { body, target } = request
      return { target: queue.targetFor(target.endpoint, model), fingerprint, occurrence, body, reuse }
    })
    this.#parts.lease.keep()
    return store.enqueue(owner(), jobs, clock.now())
  }

  /** True when its queue has grown. */
  #settle(arrival: Arrival, placement: Placement): boolean {
    const { clock, emit } = this.#context
    const { waiters, neighbours, leavers } = this.#parts
    const { request, queue, fingerprint, bytes, weight, resolve, forecast } = arrival
    const { job } = placement
    const common = about(queue.targetFor(request.target.endpoint, arrival.model), clock.now())
    if (placement.kind === 'answered') {
      const { answer, batch } = placement
      emit({ ...common, type: 'request-cached', job, status: answer.status })
      resolve(answerReply(queue.account.adapter, answer, { job, batch, cache: 'hit' }))
      return false
    }
    const waiter: Waiter = { queue, fingerprint, bytes, weight, resolve, forecast }
    waiters.add(job, waiter)
    if (request.cancel) request.cancel.onCancel = () => leavers.leave(job, waiter)
    if (placement.kind === 'waiting') {
      emit({ ...common, type: 'request-joined', job })
      neighbours.wait(job)
      return false
    }
    emit({ ...common, type: 'request-queued', job })
    queue.push(job, { bytes, weight }, clock.now())
    return true
  }

  /** The first request of an account brings the key with which earlier runs' batches can be asked about. */
  #meet(account: Account): void {
    if (this.#met.has(account)) return
    this.#met.add(account)
    this.#parts.neighbours.takeOver(account)
    this.#sayWhoIsMissed(account)
  }

  /** Batches of an earlier run that only another key can ask about: to this one the provider would say that there are none. */
  #sayWhoIsMissed({ id, adapter, call }: Account): void {
    const { store, clock } = this.#context
    const missed = store
      .openIntents()
      .filter(({ provider, baseUrl }) => provider === adapter.name && baseUrl === call.baseUrl)
      .filter(({ account, handle, owner }) => account !== id && handle && store.isGone(owner, clock.now()))
    if (missed.length === 0) return
    const jobs = missed.reduce((sum, intent) => sum + intent.jobs, 0)
    const ids = missed.map(({ handle }) => handle?.id).join(', ')
    this.#parts.notify(
      `${jobs} requests of an earlier run are still with ${adapter.name} under another key, organisation or project (${ids}): run the program with that one to collect their answers`,
    )
  }
}

/** The store cannot take the jobs, or nothing may be taken any more: nothing was sent, and their callers hear why. */
export function refuse(arrivals: readonly Arrival[], error: unknown): void {
  const { code, message } = faultMessage(error)
  for (const { queue, resolve } of arrivals) {
    const { adapter } = queue.account
    const answer = problemAnswer(adapter, { status: 424, code, message })
    resolve(answerReply(adapter, answer, { job: undefined, batch: undefined, cache: 'miss' }))
  }
}
