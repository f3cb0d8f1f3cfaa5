import type { BatchFault } from '../faults.ts'
import type { StoredFile } from '../file-store.ts'
import type { Account, World } from '../provider.ts'
import { isFinal, standingAt, type Phase, type Standing } from '../timeline.ts'
import type { Endpoint } from './endpoint.ts'
import { newBatchId, newFileId, seconds } from './ids.ts'
import { forcedStatuses, readInput, type BatchInput, type InputProblem, type InputVerdict } from './read-input.ts'
import { BATCH_CANCELLED, BATCH_EXPIRED, writeResults } from './write-results.ts'

const WINDOW_MS = 24 * 60 * 60 * 1000

export interface BatchOrder {
  readonly account: Account
  readonly endpoint: Endpoint
  readonly input: StoredFile
  readonly metadata: Readonly<Record<string, string>> | null
  /** How long the result files live; undefined: for ever. */
  readonly resultSeconds: number | undefined
  readonly faults: readonly BatchFault[]
}

export interface BatchSurroundings {
  /** Prompt tokens that wait for this model in the account's other unfinished batches. */
  enqueuedTokens(account: Account, model: string): number
  /** Runs validations one after the other: each holds every `custom_id` of its file. */
  inTurn<T>(work: () => Promise<T>): Promise<T>
  readonly signal: AbortSignal
}

/** One batch: what the caller ordered, and how far time has carried it. */
export interface Batch {
  readonly id: string
  /** In virtual time, resolves when validation has read the input: the clock alone then says where the batch stands. */
  ready(): Promise<void>
  /** Where it stands now. Looking is what moves it: rows executed since the last look enter the ledger here. */
  standing(): Standing
  /** As OpenAI shows it. */
  object(): Record<string, unknown>
  cancel(): void
  /** Undefined until its input is read. */
  model(): string | undefined
  /** Prompt tokens that wait in it. */
  enqueuedTokens(): number
  close(): Promise<void>
}

type Validation =
  | { readonly kind: 'pending' }
  | { readonly kind: 'refused'; readonly problem: InputProblem; readonly at: number }
  | { readonly kind: 'accepted'; readonly input: BatchInput; readonly at: number }

interface ResultFiles {
  readonly output: StoredFile | undefined
  readonly errors: StoredFile | undefined
}

export function createBatch(world: World, order: BatchOrder, surroundings: BatchSurroundings): Batch {
  const { clock, files, ledger, limits } = world
  const { account, endpoint, faults } = order
  const id = newBatchId()
  const createdAt = clock.now()
  const deadline = createdAt + WINDOW_MS
  const expiry = faults.find(({ kind }) => kind === 'expire')
  const unpin = files.pin(order.input)
  const tally = { looked: 0, completed: 0, failed: 0 }
  let validation: Validation = { kind: 'pending' }
  let cancelledAt: number | undefined
  let results: ResultFiles | undefined
  let writing: Promise<void> | undefined

  const validating = surroundings.inTurn(validate)

  async function validate(): Promise<void> {
    const verdict = await readVerdict()
    // In virtual time reading takes no time, so that the clock alone decides.
    const at = clock.kind === 'real' ? clock.now() : createdAt
    validation = { ...verdict, at }
    if (verdict.kind === 'refused') unpin()
  }

  async function readVerdict(): Promise<InputVerdict> {
    const rules = {
      endpoint,
      maxRows: limits.jobs ?? 50_000,
      models: world.models,
      faults,
      describes: ledger.describes(),
      signal: surroundings.signal,
    }
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
    const waiting = surroundings.enqueuedTokens(account, input.model)
    const forced = faults.some(({ kind }) => kind === 'token-limit')
    if (!forced && waiting + input.tokens <= limit) return { kind: 'accepted', input }
    const message = `Enqueued token limit reached for ${input.model} in organization ${account.organization}. Limit: ${limit} enqueued tokens. Please try again once some in_progress batches have been completed.`
    return { kind: 'refused', problem: { code: 'token_limit_exceeded', message, param: null, line: null } }
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
        rows: accepted?.rows ?? 0,
        expireAfterRows: expiry?.kind === 'expire' ? expiry.afterRows : undefined,
        cancelledAt,
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
      const index = tally.looked
      const status = input.statuses[index] ?? 0
      tally[status === 200 ? 'completed' : 'failed']++
      if (status === 0) continue
      if (status !== 200) {
        ledger.failed('batch')
        continue
      }
      const digest = { high: input.digests[index * 2] ?? 0, low: input.digests[index * 2 + 1] ?? 0 }
      const describe = (): { model: string; prompt: string } => ({
        model: input.model,
        prompt: input.prompts[index] ?? '',
      })
      ledger.executed({ way: 'batch', account, endpoint: endpoint.path, digest, describe })
    }
  }

  function end({ phase, executed, entered }: Standing, input: BatchInput | undefined): void {
    if (results) return
    if (phase === 'completed' || phase === 'failed' || phase === 'expired' || phase === 'cancelled')
      ledger.batchMoved(phase)
    results = { output: undefined, errors: undefined }
    if (!input) return unpin()
    // Counted for good: from here on only the places of the rows are needed.
    if (validation.kind === 'accepted') validation = { ...validation, input: withoutRows(input) }
    const endedAt = entered[phase] ?? clock.now()
    const output = tally.completed > 0 ? newFileId() : undefined
    const errors = tally.failed > 0 || executed < input.rows ? newFileId() : undefined
    const write = (): Promise<void> => (writing ??= writeFiles(input, phase, executed, { output, errors }))
    results = {
      output: output === undefined ? undefined : addResults(output, 'output', endedAt, write),
      errors: errors === undefined ? undefined : addResults(errors, 'error', endedAt, write),
    }
  }

  function addResults(fileId: string, name: string, now: number, write: () => Promise<void>): StoredFile {
    const expiresAt = order.resultSeconds === undefined ? undefined : now + order.resultSeconds * 1000
    const facts = {
      id: fileId,
      owner: account.hash,
      name: `${id}_${name}.jsonl`,
      purpose: 'batch_output',
      createdAt: now,
      expiresAt,
    }
    return files.add(facts, write)
  }

  async function writeFiles(
    input: BatchInput,
    phase: Phase,
    executed: number,
    ids: { readonly output: string | undefined; readonly errors: string | undefined },
  ): Promise<void> {
    const paths = {
      output: files.pathFor(ids.output ?? `${id}-output`),
      errors: files.pathFor(ids.errors ?? `${id}-errors`),
    }
    await writeResults({
      batchId: id,
      endpoint,
      blocks: input.blocks,
      inputPath: order.input.path,
      executed,
      unexecuted: phase === 'cancelled' ? BATCH_CANCELLED : BATCH_EXPIRED,
      forced: forcedStatuses(faults),
      createdAt: seconds(createdAt),
      outputPath: paths.output,
      errorPath: paths.errors,
      signal: surroundings.signal,
    })
    unpin()
  }

  return {
    id,
    ready: () => (clock.kind === 'virtual' ? validating : Promise.resolve()),
    standing,
    object() {
      const { phase, entered } = standing()
      const accepted = validation.kind === 'accepted' && phase !== 'validating' ? validation.input : undefined
      const refused = validation.kind === 'refused' && phase === 'failed' ? validation.problem : undefined
      const at = (phase: Phase): number | null => (entered[phase] === undefined ? null : seconds(entered[phase]))
      return {
        id,
        object: 'batch',
        endpoint: endpoint.path,
        model: accepted?.model ?? null,
        errors: refused ? { object: 'list', data: [refused] } : null,
        input_file_id: order.input.id,
        completion_window: '24h',
        status: phase,
        output_file_id: results?.output?.id ?? null,
        error_file_id: results?.errors?.id ?? null,
        created_at: seconds(createdAt),
        in_progress_at: at('in_progress'),
        expires_at: seconds(deadline),
        finalizing_at: at('finalizing'),
        completed_at: at('completed'),
        failed_at: at('failed'),
        expired_at: at('expired'),
        cancelling_at: at('cancelling'),
        cancelled_at: at('cancelled'),
        request_counts: { total: accepted?.rows ?? 0, completed: tally.completed, failed: tally.failed },
        usage: null,
        metadata: order.metadata,
      }
    },
    cancel() {
      cancelledAt ??= clock.now()
    },
    model: () => (validation.kind === 'accepted' ? validation.input.model : undefined),
    enqueuedTokens() {
      if (validation.kind !== 'accepted' || isFinal(standing().phase)) return 0
      return validation.input.tokens
    },
    async close() {
      await validating
      // Its failure was the downloader's to see.
      await writing?.catch(() => {})
    },
  }
}

function withoutRows(input: BatchInput): BatchInput {
  return { ...input, statuses: new Uint16Array(), digests: new Uint32Array(), prompts: [] }
}
