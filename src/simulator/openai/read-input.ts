import type { JsonObject } from '../../core/request.ts'
import { requestDigest } from '../digest.ts'
import type { BatchFault } from '../faults.ts'
import { isObject, parseJson } from '../json.ts'
import { PROMPT_LENGTH } from '../ledger.ts'
import { readBlocks, type BlockRef } from '../lines.ts'
import { findTrigger } from '../triggers.ts'
import { embeddingInputs } from './answers/embeddings.ts'
import { tokensOf, type Endpoint } from './endpoint.ts'
import { modelOf, verdictOn } from './execute.ts'
import { isModel } from './models.ts'

/** A complaint as a failed batch carries it. */
export interface InputProblem {
  readonly code: string
  readonly message: string
  readonly param: string | null
  readonly line: number | null
}

/** What is remembered of an input that passed: a few bytes for each row. */
export interface BatchInput {
  readonly rows: number
  readonly model: string
  readonly blocks: readonly BlockRef[]
  /** The status each row will be answered with; 0: it will not be executed. */
  readonly statuses: Uint16Array
  /** Two numbers for each row. */
  readonly digests: Uint32Array
  readonly tokens: number
  /** The beginnings of the first rows' prompts, for the ledger. */
  readonly prompts: readonly string[]
}

export type InputVerdict =
  | { readonly kind: 'accepted'; readonly input: BatchInput }
  | { readonly kind: 'refused'; readonly problem: InputProblem }

export interface InputRules {
  readonly endpoint: Endpoint
  readonly maxRows: number
  readonly models: readonly string[]
  readonly faults: readonly BatchFault[]
  /** Whether the ledger still wants to know what is in the rows. */
  readonly describes: boolean
  readonly signal: AbortSignal
}

const CUSTOM_ID_LENGTH = 64
const DESCRIBED_ROWS = 10_000

/** Reads a batch's input from beginning to end, and stops at the first line that must not be in it. */
export async function readInput(path: string, rules: InputRules): Promise<InputVerdict> {
  const whole = rules.faults.find(({ kind }) => kind === 'reject')
  if (whole?.kind === 'reject' && whole.line === null) return refused(rejection(whole))

  const forced = forcedStatuses(rules.faults)
  const seen = new Set<string>()
  const blocks: BlockRef[] = []
  const statuses: number[] = []
  const digests: number[] = []
  const prompts: string[] = []
  let model: string | undefined
  let tokens = 0
  let embedded = 0

  for await (const { ref, lines } of readBlocks(path)) {
    rules.signal.throwIfAborted()
    blocks.push(ref)
    for (const text of lines) {
      const line = statuses.length + 1
      if (whole?.kind === 'reject' && whole.line === line) return refused(rejection(whole))
      if (line > rules.maxRows) return refused(tooMany(rules.maxRows))
      const row = readRow(text, rules, seen, model)
      if (row.kind === 'refused') return refused({ ...row.problem, line })
      model = row.model
      const prompt = rules.endpoint.prompt(row.body)
      tokens += tokensOf(prompt)
      if (rules.describes && prompts.length < DESCRIBED_ROWS) prompts.push(beginning(prompt))
      if (rules.endpoint.path === '/v1/embeddings') embedded += embeddingInputs(row.body)
      if (embedded > rules.maxRows) return refused(tooMany(rules.maxRows))
      const digest = requestDigest(rules.endpoint.path, row.body)
      digests.push(digest.high, digest.low)
      statuses.push(forced.get(line) ?? statusOf(text, row.body, rules.endpoint))
    }
  }
  if (model === undefined)
    return refused({ code: 'empty_file', message: 'The input file is empty.', param: null, line: null })
  return {
    kind: 'accepted',
    input: {
      rows: statuses.length,
      model,
      blocks,
      statuses: Uint16Array.from(statuses),
      digests: Uint32Array.from(digests),
      tokens,
      prompts,
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

type ReadRow =
  | { readonly kind: 'read'; readonly body: JsonObject; readonly model: string }
  | { readonly kind: 'refused'; readonly problem: Omit<InputProblem, 'line'> }

function readRow(
  text: string,
  { endpoint, models }: InputRules,
  seen: Set<string>,
  model: string | undefined,
): ReadRow {
  const row = parseJson(text)
  if (!isObject(row)) return wrong('invalid_json_line', 'This line is not parseable as valid JSON.', null)

  const customId = row['custom_id']
  if (typeof customId !== 'string' || customId === '') {
    return wrong('missing_required_parameter', "Missing required parameter: 'custom_id'.", 'custom_id')
  }
  if (customId.length > CUSTOM_ID_LENGTH) {
    return wrong('invalid_custom_id', `'custom_id' is longer than ${CUSTOM_ID_LENGTH} characters.`, 'custom_id')
  }
  if (seen.has(customId)) {
    return wrong('duplicate_custom_id', `The custom_id '${customId}' appears more than once in this file.`, 'custom_id')
  }
  seen.add(customId)

  if (row['method'] !== 'POST') return wrong('invalid_method', "Invalid 'method': expected 'POST'.", 'method')
  if (row['url'] !== endpoint.path) {
    return wrong('url_mismatch', `The URL of this line does not match the batch's endpoint, ${endpoint.path}.`, 'url')
  }
  const body = row['body']
  if (!isObject(body)) return wrong('invalid_body', "Invalid 'body': expected an object.", 'body')
  if (body['stream'] === true)
    return wrong('streaming_unsupported', 'Streaming is not supported in a batch.', 'body.stream')

  const named = modelOf(endpoint, body)
  if (named === undefined)
    return wrong('missing_required_parameter', "Missing required parameter: 'model'.", 'body.model')
  if (!isModel(named, models)) {
    return wrong(
      'model_not_found',
      `The model '${named}' does not exist or is not supported for batches.`,
      'body.model',
    )
  }
  if (model !== undefined && named !== model) {
    return wrong(
      'mismatched_model',
      `All lines must name one model; this one names '${named}', others '${model}'.`,
      'body.model',
    )
  }
  if (findTrigger(text)?.kind === 'invalid') return wrong('invalid_request', 'The line asked to be invalid.', 'body')
  return { kind: 'read', body, model: named }
}

function statusOf(text: string, body: JsonObject, endpoint: Endpoint): number {
  const trigger = findTrigger(text)
  return trigger?.kind === 'unexecuted' ? 0 : (verdictOn({ endpoint, body, trigger })?.status ?? 200)
}

function wrong(code: string, message: string, param: string | null): ReadRow {
  return { kind: 'refused', problem: { code, message, param } }
}

function refused(problem: InputProblem): InputVerdict {
  return { kind: 'refused', problem }
}

function tooMany(rows: number): InputProblem {
  return { code: 'too_many_tasks', message: `A batch may contain ${rows} requests at most.`, param: null, line: null }
}

function rejection({ line, code, message }: Extract<BatchFault, { kind: 'reject' }>): InputProblem {
  return {
    code: code ?? 'invalid_request',
    message: message ?? 'The simulator was asked to refuse this batch.',
    param: null,
    line,
  }
}
