import type { Dialect, InputProblem, ReadRow, Row, RowReader } from '../batches/dialect.ts'
import type { Answer, Endpoint } from '../endpoint.ts'
import { isObject, parseJson } from '../json.ts'
import { findTrigger } from '../triggers.ts'
import { errorBody, rpcStatus } from './envelope.ts'
import { readMessage, type Message } from './proto-json.ts'

/** A row in a file has a `key` of its own, one inside a create has `metadata`. */
export type RowForm = 'file' | 'inline'

export interface GeminiRules {
  /** What every row asks for: a batch has one model and one method. */
  readonly endpoint: Endpoint
  readonly model: string
  readonly request: Message
  readonly rows: RowForm
  readonly maxRows: number
}

export interface GeminiDialect extends Dialect {
  /** How many rows it has read. */
  rows(): number
}

/**
 * Google looks at the form of a whole input before it answers a create, and names every line it cannot read in a 400
 * [wire: UKGovernmentBEIS/inspect_ai#3257, #5100]. Whatever else is wrong with an input fails the batch later.
 */
export function isRefusedAtOnce({ code }: InputProblem): boolean {
  return code === 'INVALID_ARGUMENT' || code === 'RESOURCE_EXHAUSTED'
}

const MAX_COMPLAINTS = 10

/** Lines of a Gemini batch. A row's `key` or `metadata` is kept as JSON, to be echoed as it came. */
export function geminiDialect(rules: GeminiRules): GeminiDialect {
  let rows = 0

  const result = (correlation: string, outcome: Answer): string => resultLine(rules.rows, correlation, outcome)

  return {
    rows: () => rows,
    reader: () => createReader(rules, () => rows++),
    row(text) {
      const read = readRow(text, rules)
      return 'problem' in read ? undefined : read
    },
    executed({ customId }, { kind, status, body }) {
      return result(customId, kind === 'answered' ? { response: body } : { error: rpcStatus(status, messageOf(body)) })
    },
    // For rows that ask for it: a batch that expired has no results, and one that was cancelled only those of rows that were done.
    unexecuted: ({ customId }) =>
      result(customId, { error: rpcStatus(504, 'The request could not be executed before the batch expired.') }),
    unknownRow: (key) => unknownRow(rules.rows, key),
    channels: { succeeded: 'output', failed: 'output', expired: 'output', cancelled: undefined },
    errorBody,
    tokenLimit: (model, limit) => ({
      code: 'RESOURCE_EXHAUSTED',
      message: `You exceeded your current quota: at most ${limit} tokens may be enqueued for ${model}. Please wait until other batches have finished.`,
      param: null,
      line: null,
    }),
  }
}

export function unknownRow(rows: RowForm, key: string): string {
  return resultLine(rows, JSON.stringify(rows === 'file' ? key : { key }), { response: { candidates: [] } })
}

function resultLine(rows: RowForm, correlation: string, outcome: Answer): string {
  const name = rows === 'file' ? 'key' : 'metadata'
  return JSON.stringify(correlation === '' ? outcome : { ...outcome, [name]: parseJson(correlation) })
}

function createReader(rules: GeminiRules, counted: () => void): RowReader {
  const complaints: string[] = []
  let lines = 0

  return {
    read(text, line): ReadRow {
      lines = line
      if (line > rules.maxRows) {
        return { kind: 'refused', problem: malformed(`A batch may contain ${rules.maxRows} requests at most.`) }
      }
      const row = readRow(text, rules)
      if ('problem' in row) {
        complaints.push(
          rules.rows === 'file' ? `Error on line ${line}: ${row.problem}` : inlineWords(line, row.problem),
        )
        return { kind: 'skipped', problem: malformed(row.problem) }
      }
      if (findTrigger(text)?.kind === 'invalid') {
        const message = 'The request asked to be invalid.'
        return { kind: 'refused', problem: { code: 'FAILED_PRECONDITION', message, param: null, line } }
      }
      counted()
      return { kind: 'row', row }
    },
    end() {
      if (lines === 0) return malformed('The input has no requests.')
      return complaints.length === 0 ? undefined : malformed(complaints.slice(0, MAX_COMPLAINTS).join('\n'))
    },
  }
}

function malformed(message: string): InputProblem {
  return { code: 'INVALID_ARGUMENT', message, param: null, line: null }
}

function inlineWords(line: number, problem: string): string {
  return `* BatchGenerateContentRequest.batch.input_config.requests.requests[${line - 1}]: ${problem}`
}

type RowProblem = { readonly problem: string }

function readRow(text: string, { endpoint, model, request, rows }: GeminiRules): Row | RowProblem {
  const line = parseJson(text)
  if (line === undefined) return near(text, text.length, 'unexpected end or character')
  // Names beside `request` that nobody knows are no problem here [wire: rows in python-genai#2439, go-genai#513].
  if (!isObject(line)) return near(text, 0, `unexpected character: '${text.slice(0, 1)}'; expected '{'`)
  if (!isObject(line['request'])) return { problem: 'request is not specified' }
  const { value, violations } = readMessage(line['request'], request)
  const [first] = violations
  if (first) return near(text, text.indexOf(first.near), first.problem)

  const { model: named, ...body } = value
  if (named !== undefined && named !== `models/${model}` && named !== model) {
    return { problem: `request.model: ${JSON.stringify(named)} is not the model of the batch, 'models/${model}'` }
  }
  const correlation = rows === 'file' ? line['key'] : line['metadata']
  return { customId: correlation === undefined ? '' : JSON.stringify(correlation), endpoint, body, model }
}

function near(text: string, at: number, problem: string): RowProblem {
  const column = Math.max(0, Math.min(at, text.length)) + 1
  return { problem: `invalid JSON, near column ${column}: ${problem}` }
}

function messageOf({ error }: Answer): string {
  return isObject(error) && typeof error['message'] === 'string' ? error['message'] : ''
}
