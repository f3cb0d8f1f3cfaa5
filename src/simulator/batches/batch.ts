import type { BatchFault } from '../faults.ts'
import type { FileFacts, StoredFile } from '../file-store.ts'
import type { Account, World } from '../provider.ts'
import { isFinal, standingAt, type Phase, type Standing } from '../timeline.ts'
import type { Channel, Dialect, InputProblem, Unexecuted } from './dialect.ts'
import { forcedStatuses, readInput, SKIPPED, type BatchInput, type InputVerdict } from './read-input.ts'
import { completionOrder, createJournal, type Journal } from './journal.ts'
import { writeResults, type RowOrder } from './write-results.ts'

/** A batch as a surface orders it. `Details` is whatever else the provider shows of it. */
export type BatchOrder<Details> = BatchTerms<Details> & ResultFiles

interface BatchTerms<Details> {
  readonly id: string
  readonly account: Account
  readonly dialect: Dialect
  readonly input: StoredFile
  /** When it expires, counted from its creation; Infinity: never. */
  readonly windowMs: number
  /** What it takes to be cancelled. Default: a part of `batchMs`. */
  readonly cancelMs?: number
  readonly details: Details
  /** It is only a part of what the provider calls a batch, and the ledger must not count it as one. Default false. */
  readonly part?: boolean
}

/** Results that can be read at the end, or row by row as they finish. */
type ResultFiles =
  | {
      /** `phase` is the one it ended in. */
      resultFile(channel: Channel, endedAt: number, phase: Phase): Omit<FileFacts, 'owner'>
    }
  | {
      /** There from the creation; undefined: nobody sees a file. */
      growingFile(channel: Channel): Omit<FileFacts, 'owner'> | undefined
    }

export interface BatchSurroundings {
  /** What goes wrong with this batch. */
  readonly faults: readonly BatchFault[]
  /** Prompt tokens that wait for this model in the account's other unfinished batches. */
  enqueuedTokens(account: Account, model: string): number
  /** Runs validations one after the other: each holds every `custom_id` of its file. */
  inTurn<T>(work: () => Promise<T>): Promise<T>
  readonly signal: AbortSignal
}

/** One batch: what the caller ordered, and how far time has carried it. */
export interface Batch<Details> {
  readonly id: string
  readonly details: Details
  /** In virtual time, resolves when validation has read the input: the clock alone then says where the batch stands. */
  ready(): Promise<void>
  /** Resolves, when its input has been read, with what is wrong with it. */
  refusal(): Promise<InputProblem | undefined>
  /** Where it stands now. Looking is what moves it: rows executed since the last look enter the ledger here. */
  view(): BatchView
  /** What has finished by now in a batch whose results can be read while it runs; undefined before it is validated. */
  finished(): Promise<Journal['channels'] | undefined>
  cancel(): void
  /** Prompt tokens that wait in it for a model. */
  enqueuedTokens(model: string): number
  close(): Promise<void>
}

/** Everything a surface can tell about a batch, in no provider's words. */
export interface BatchView extends Standing {
  readonly id: string
  readonly createdAt: number
  /** Infinity: it has none. */
  readonly deadline: number
  readonly counts: BatchCounts
  /** Those among `counts.failed` that asked not to be executed. */
  readonly unexecuted: number
  /** What is in it; empty until it has been validated. */
  readonly models: readonly string[]
  /** Why it was refused. */
  readonly problem: InputProblem | undefined
  /** Lines that were left out. */
  readonly skipped: readonly InputProblem[]
  /** Its result files, once it has ended (growing ones from its creation); undefined: nothing belongs in it. */
  readonly results: Readonly<Record<Channel, StoredFile | undefined>>
}

export interface BatchCounts {
  /** 0 until it has been validated. */
  readonly total: number
  readonly completed: number
  /** Rows that were answered with an error, and those that asked not to be executed. */
  readonly failed: number
}

type Validation =
  | { readonly kind: 'pending' }
  | { readonly kind: 'refused'; readonly problem: InputProblem; readonly at: number }
  | { readonly kind: 'accepted'; readonly input: BatchInput; readonly at: number }

export function createBatch<Details>(
  world: World,
  order: BatchOrder<Details>,
  surroundings: BatchSurroundings,
): Batch<Details> {
  const { clock, files, ledger, limits } = world
  const { id, account, dialect } = order
  const { faults } = surroundings
  const createdAt = clock.now()
  const deadline = createdAt + order.windowMs
  const expiry = faults.find(({ kind }) => kind === 'expire')
  const unpin = files.pin(order.input)
  const tally = { looked: 0, completed: 0, failed: 0, unexecuted: 0, skipped: 0 }
  let validation: Validation = { kind: 'pending' }
  let cancelledAt: number | undefined
  let results: BatchView['results'] = { output: addGrowing('output'), errors: addGrowing('errors') }
  let ended = false
  let journal: Journal | undefined
  /** The order in which rows finish; undefined: as they stand. */
  let finishing: Uint32Array | undefined
  let writing: Promise<void> | undefined

  const validating = surroundings.inTurn(validate)

  async function validate(): Promise<void> {
    const verdict = await readVerdict()
    // In virtual time reading takes no time, so that the clock alone decides.
    const at = clock.kind === 'real' ? clock.now() : createdAt
    validation = { ...verdict, at }
    if (verdict.kind === 'refused') unpin()
    else if ('growingFile' in order) startJournal(verdict.input)
  }

  function startJournal(input: BatchInput): void {
    finishing = completionOrder(input.blocks, id)
    journal = createJournal({
      rows: rowOrder(input),
      blocks: input.blocks,
      inputPath: order.input.path,
      order: finishing,
      paths: {
        output: results.output?.path ?? files.pathFor(`${id}-output`),
        errors: results.errors?.path ?? files.pathFor(`${id}-errors`),
      },
      onComplete: unpin,
    })
  }

  function addGrowing(channel: Channel): StoredFile | undefined {
    const facts = 'growingFile' in order ? order.growingFile(channel) : undefined
    const grown = async (): Promise<number> => (await finished())?.[channel].bytes() ?? 0
    return facts && files.addGrowing({ ...facts, owner: account.hash }, grown)
  }

  async function finished(): Promise<Journal['channels'] | undefined> {
    const { phase, executed } = standing()
    const reason = phase === 'cancelled' ? 'cancelled' : 'expired'
    await journal?.catchUp({ executed, reason: isFinal(phase) ? reason : undefined })
    return journal?.channels
  }

  function rowOrder(input: BatchInput): RowOrder {
    return {
      batchId: id,
      dialect,
      skipped: new Set(input.skipped.map(({ line }) => line ?? 0)),
      forced: forcedStatuses(faults),
      createdAt: Math.floor(createdAt / 1000),
    }
  }

  async function readVerdict(): Promise<InputVerdict> {
    const rules = { dialect, faults, describes: ledger.describes(), signal: surroundings.signal }
    try {
      const verdict = await readInput(order.input.path, rules)
      return verdict.kind === 'accepted' ? withinTokenLimit(verdict.input) : verdict
    } catch {
      // Closing, or the disk failed: either way the batch cannot go on, and says so to whoever still asks.
      const message = 'The input file could not be read.'
      return { kind: 'refused', problem: { code: 'server_error', message, param: null, line: null } }
    }
  }

  function withinTokenLimit(input: BatchInput): InputVerdict {
    const limit = limits.enqueuedTokens ?? Infinity
    const forced = faults.some(({ kind }) => kind === 'token-limit')
    const over = input.kinds.find(
      ({ model }) => forced || surroundings.enqueuedTokens(account, model) + tokensOf(input, model) > limit,
    )
    return over ? { kind: 'refused', problem: dialect.tokenLimit(over.model, limit) } : { kind: 'accepted', input }
  }

  function standing(): Standing {
    const pending = validation.kind === 'pending'
    const accepted = validation.kind === 'accepted' ? validation.input : undefined
    const now = standingAt(
      {
        createdAt,
        batchMs: world.batchMs,
        deadline,
        validatedAt: validation.kind === 'pending' ? Infinity : validation.at,
        refused: validation.kind === 'refused',
        rows: accepted?.lines ?? 0,
        expireAfterRows: expiry?.kind === 'expire' ? expiry.afterRows : undefined,
        cancelledAt,
        cancelMs: order.cancelMs,
      },
      clock.now(),
    )
    // What becomes of its rows is known only once they have been read.
    if (pending && now.phase === 'cancelled') return { ...now, phase: 'cancelling' }
    if (accepted) lookAtRows(accepted, now.executed)
    if (isFinal(now.phase)) end(now, accepted)
    return now
  }

  /** Counts rows executed since the last look. */
  function lookAtRows(input: BatchInput, executed: number): void {
    for (; tally.looked < executed; tally.looked++) {
      const index = finishing?.[tally.looked] ?? tally.looked
      const status = input.statuses[index] ?? 0
      if (status === SKIPPED) {
        tally.skipped++
        continue
      }
      tally[status === 200 ? 'completed' : 'failed']++
      if (status === 0) {
        tally.unexecuted++
        continue
      }
      if (status !== 200) {
        ledger.failed('batch')
        continue
      }
      const kind = input.kinds[input.kindOf[index] ?? 0]
      if (!kind) continue
      const digest = { high: input.digests[index * 2] ?? 0, low: input.digests[index * 2 + 1] ?? 0 }
      const describe = (): { model: string; prompt: string } => ({
        model: kind.model,
        prompt: input.prompts[index] ?? '',
      })
      ledger.executed({ way: 'batch', account, endpoint: kind.endpoint.path, digest, describe })
    }
  }

  function end({ phase, executed, entered }: Standing, input: BatchInput | undefined): void {
    if (ended) return
    ended = true
    const counts = order.part !== true
    if (counts && (phase === 'completed' || phase === 'failed' || phase === 'expired' || phase === 'cancelled'))
      ledger.batchMoved(phase)
    if (!input) return unpin()
    // Counted for good: from here on only the places of the rows are needed.
    if (validation.kind === 'accepted') validation = { ...validation, input: withoutRows(input) }
    if ('growingFile' in order) return
    const endedAt = entered[phase] ?? clock.now()
    const reason = phase === 'cancelled' ? 'cancelled' : 'expired'
    const used = channelsUsed(input, executed, reason)
    const facts = {
      output: used.has('output') ? order.resultFile('output', endedAt, phase) : undefined,
      errors: used.has('errors') ? order.resultFile('errors', endedAt, phase) : undefined,
    }
    const write = (): Promise<void> => (writing ??= writeFiles(input, reason, executed, facts))
    const add = (facts: Omit<FileFacts, 'owner'> | undefined): StoredFile | undefined =>
      facts && files.add({ ...facts, owner: account.hash }, write)
    results = { output: add(facts.output), errors: add(facts.errors) }
  }

  /** The result files something belongs in. */
  function channelsUsed(input: BatchInput, executed: number, reason: Unexecuted): ReadonlySet<Channel | undefined> {
    const { channels } = dialect
    const unexecuted = input.lines - executed - (input.skipped.length - tally.skipped)
    return new Set([
      ...(tally.completed > 0 ? [channels.succeeded] : []),
      ...(tally.failed > tally.unexecuted ? [channels.failed] : []),
      ...(tally.unexecuted > 0 ? [channels.expired] : []),
      ...(unexecuted > 0 ? [channels[reason]] : []),
    ])
  }

  async function writeFiles(
    input: BatchInput,
    unexecuted: Unexecuted,
    executed: number,
    facts: Readonly<Record<Channel, { readonly id: string } | undefined>>,
  ): Promise<void> {
    await writeResults({
      ...rowOrder(input),
      blocks: input.blocks,
      inputPath: order.input.path,
      executed,
      unexecuted,
      outputPath: files.pathFor(facts.output?.id ?? `${id}-output`),
      errorPath: files.pathFor(facts.errors?.id ?? `${id}-errors`),
      signal: surroundings.signal,
    })
    unpin()
  }

  return {
    id,
    details: order.details,
    ready: () => (clock.kind === 'virtual' ? validating : Promise.resolve()),
    async refusal() {
      await validating
      return validation.kind === 'refused' ? validation.problem : undefined
    },
    view() {
      const now = standing()
      const accepted = validation.kind === 'accepted' && now.phase !== 'validating' ? validation.input : undefined
      return {
        ...now,
        id,
        createdAt,
        deadline,
        counts: {
          total: accepted ? accepted.lines - accepted.skipped.length : 0,
          completed: tally.completed,
          failed: tally.failed,
        },
        unexecuted: tally.unexecuted,
        models: [...new Set(accepted?.kinds.map(({ model }) => model))],
        problem: validation.kind === 'refused' && now.phase === 'failed' ? validation.problem : undefined,
        skipped: accepted?.skipped ?? [],
        results,
      }
    },
    finished,
    cancel() {
      cancelledAt ??= clock.now()
    },
    enqueuedTokens(model) {
      if (validation.kind !== 'accepted') return 0
      const { input } = validation
      return input.kinds.some((kind) => kind.model === model) && !isFinal(standing().phase) ? tokensOf(input, model) : 0
    },
    async close() {
      await validating
      // Its failure was the downloader's to see.
      await writing?.catch(() => {})
      await journal?.close()
    },
  }
}

function tokensOf({ kinds }: BatchInput, model: string): number {
  return kinds.reduce((sum, kind) => (kind.model === model ? sum + kind.tokens : sum), 0)
}

function withoutRows(input: BatchInput): BatchInput {
  return {
    ...input,
    statuses: new Uint16Array(),
    digests: new Uint32Array(),
    kindOf: new Uint32Array(),
    prompts: [],
  }
}
