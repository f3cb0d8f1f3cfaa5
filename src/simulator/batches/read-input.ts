import { requestDigest } from '../digest.ts'
import { tokensOf, type Endpoint } from '../endpoint.ts'
import { verdictOn } from '../execute.ts'
import type { BatchFault } from '../faults.ts'
import { PROMPT_LENGTH } from '../ledger.ts'
import { readBlocks, type BlockRef } from '../lines.ts'
import { findTrigger } from '../triggers.ts'
import type { Dialect, InputProblem, Row } from './dialect.ts'

/** What is remembered of an input that passed: a few bytes for each line. */
export interface BatchInput {
  readonly lines: number
  /** Complaints about lines that were left out. */
  readonly skipped: readonly InputProblem[]
  /** The different endpoints and models among its rows, with the prompt tokens of each. */
  readonly kinds: readonly RowKind[]
  /** Which of them each line is; empty when there is but one. */
  readonly kindOf: Uint32Array
  readonly blocks: readonly BlockRef[]
  /** The status each line will be answered with; 0: it will not be executed; `SKIPPED`: it is no row. */
  readonly statuses: Uint16Array
  /** Two numbers for each line. */
  readonly digests: Uint32Array
  /** The beginnings of the first prompts, for the ledger. */
  readonly prompts: readonly string[]
}

export interface RowKind {
  readonly endpoint: Endpoint
  readonly model: string
  tokens: number
}

export const SKIPPED = 0xffff

export type InputVerdict =
  | { readonly kind: 'accepted'; readonly input: BatchInput }
  | { readonly kind: 'refused'; readonly problem: InputProblem }

export interface InputRules {
  readonly dialect: Dialect
  readonly faults: readonly BatchFault[]
  /** Whether the ledger still wants to know what is in the rows. */
  readonly describes: boolean
  readonly signal: AbortSignal
}

const DESCRIBED_ROWS = 10_000

/** Reads a batch's input from beginning to end, and stops at the first line for which all of it is refused. */
export async function readInput(path: string, rules: InputRules): Promise<InputVerdict> {
  const { dialect, faults } = rules
  const whole = faults.find(({ kind }) => kind === 'reject')
  if (whole?.kind === 'reject' && whole.line === null) return refused(rejection(whole))

  const forced = forcedStatuses(faults)
  const reader = dialect.reader()
  const kinds = createKinds()
  const blocks: BlockRef[] = []
  const statuses: number[] = []
  const digests: number[] = []
  const kindOf: number[] = []
  const prompts: string[] = []
  const skipped: InputProblem[] = []

  for await (const { ref, lines } of readBlocks(path)) {
    rules.signal.throwIfAborted()
    blocks.push(ref)
    for (const text of lines) {
      const line = statuses.length + 1
      if (whole?.kind === 'reject' && whole.line === line) return refused(rejection(whole))
      const read = reader.read(text, line)
      if (read.kind === 'refused') return refused(read.problem)
      if (read.kind === 'skipped') {
        skipped.push(read.problem)
        statuses.push(SKIPPED)
        digests.push(0, 0)
        kindOf.push(0)
        if (prompts.length < DESCRIBED_ROWS) prompts.push('')
        continue
      }
      const { row } = read
      const prompt = row.endpoint.prompt(row.body)
      kindOf.push(kinds.count(row, tokensOf(prompt)))
      if (rules.describes && prompts.length < DESCRIBED_ROWS) prompts.push(beginning(prompt))
      const digest = requestDigest(row.endpoint.path, row.body)
      digests.push(digest.high, digest.low)
      statuses.push(forced.get(line) ?? statusOf(text, row, dialect))
    }
  }
  const problem = reader.end()
  if (problem) return refused(problem)
  return {
    kind: 'accepted',
    input: {
      lines: statuses.length,
      skipped,
      kinds: kinds.list,
      kindOf: kinds.list.length > 1 ? Uint32Array.from(kindOf) : new Uint32Array(),
      blocks,
      statuses: Uint16Array.from(statuses),
      digests: Uint32Array.from(digests),
      prompts,
    },
  }
}

interface Kinds {
  readonly list: readonly RowKind[]
  /** The number of this row's kind. */
  count(row: Row, tokens: number): number
}

function createKinds(): Kinds {
  const list: RowKind[] = []
  const numbers = new Map<string, number>()
  let last = 0

  function numberOf({ endpoint, model }: Row): number {
    const key = `${endpoint.path}\0${model}`
    let number = numbers.get(key)
    if (number === undefined) {
      number = list.push({ endpoint, model, tokens: 0 }) - 1
      numbers.set(key, number)
    }
    return number
  }

  return {
    list,
    count(row, tokens) {
      const same = list[last]
      if (same?.endpoint !== row.endpoint || same.model !== row.model) last = numberOf(row)
      const kind = list[last]
      if (kind) kind.tokens += tokens
      return last
    },
  }
}

/** Statuses that faults put on lines. */
export function forcedStatuses(faults: readonly BatchFault[]): ReadonlyMap<number, number> {
  return new Map(
    faults.flatMap((fault) =>
      fault.kind === 'row-status' ? fault.lines.map((line) => [line, fault.status] as const) : [],
    ),
  )
}

/** A copy: a slice would keep the whole prompt in memory. */
function beginning(prompt: string): string {
  return Buffer.from(prompt.slice(0, PROMPT_LENGTH), 'utf8').toString('utf8')
}

function statusOf(text: string, { endpoint, body }: Row, dialect: Dialect): number {
  const trigger = findTrigger(text)
  if (trigger?.kind === 'unexecuted') return 0
  return verdictOn({ endpoint, body, trigger }, dialect.errorBody)?.status ?? 200
}

function refused(problem: InputProblem): InputVerdict {
  return { kind: 'refused', problem }
}

function rejection({ line, code, message }: Extract<BatchFault, { kind: 'reject' }>): InputProblem {
  return {
    code: code ?? 'invalid_request',
    message: message ?? 'The simulator was asked to refuse this batch.',
    param: null,
    line,
  }
}
