import type { Dialect, InputProblem } from '../batches/dialect.ts'
import type { Answer, Endpoint } from '../endpoint.ts'
import { errorFacts } from '../openai-like/reword.ts'
import { createLineReader, rowOfLine, wrong, type LineRules } from '../openai-like/read-lines.ts'
import { errorBody } from './envelope.ts'

const MAX_LINE_BYTES = 10 * 1024 * 1024

export interface BatchRules {
  readonly endpoint: Endpoint
  readonly maxRows: number
  readonly isModel: (name: string) => boolean
}

/** Lines of `custom_id` and `body`; results without ids, errors without a status. */
export function togetherDialect({ endpoint, maxRows, isModel }: BatchRules): Dialect {
  const target = targetOf(endpoint)
  return {
    reader() {
      const lines = createLineReader({ target, models: 'any', isModel, badLine: 'refused', maxRows })
      return {
        // "Oversize lines are not caught at validation: the job fails" ("Manage batch jobs").
        read: (text, line) =>
          Buffer.byteLength(text) > MAX_LINE_BYTES
            ? { kind: 'refused', problem: problem('line_too_long', 'error reading input file') }
            : lines.read(text, line),
        end: () => lines.end(),
      }
    },
    row: (text) => rowOfLine(text, target),
    executed: ({ customId }, outcome) =>
      JSON.stringify(
        outcome.kind === 'answered'
          ? { custom_id: customId, response: { status_code: outcome.status, body: outcome.body } }
          : { custom_id: customId, error: rowError(outcome.status, outcome.body) },
      ),
    // Whether the error file names rows that never ran is not documented; here they are in neither file.
    unexecuted: ({ customId }, reason) =>
      JSON.stringify({ custom_id: customId, error: { message: reason, code: reason } }),
    unknownRow,
    channels: { succeeded: 'output', failed: 'errors', expired: undefined, cancelled: undefined },
    errorBody,
    tokenLimit: (model, limit) =>
      problem('token_limit_exceeded', `enqueued token limit reached for ${model}: ${limit} tokens`),
  }
}

export function unknownRow(customId: string): string {
  const body = { id: 'unknown', object: 'chat.completion', choices: [] }
  return JSON.stringify({ custom_id: customId, response: { status_code: 200, body } })
}

/** Chat lines have neither method nor url (with them nobody knows what happens); audio lines say FILE. */
function targetOf(endpoint: Endpoint): LineRules['target'] {
  const method = endpoint.path.startsWith('/v1/audio/') ? 'FILE' : undefined
  return (line) => {
    if (line['method'] !== method) return wrong('invalid_method', `invalid method for ${endpoint.path}`, 'method')
    return line['url'] === undefined ? endpoint : wrong('invalid_url', 'a line names no url', 'url')
  }
}

function rowError(status: number, body: Answer): { readonly message: string; readonly code: string } {
  const { message, code } = errorFacts({ status, body })
  return { message, code: codeOf(status, code) }
}

/** Only `invalid_model` is documented; the others are named after it. */
function codeOf(status: number, code: string | null): string {
  if (code === 'model_not_found') return 'invalid_model'
  if (status === 408 || status === 504) return 'timeout'
  if (status === 429) return 'rate_limit_exceeded'
  return status < 500 ? 'invalid_request' : 'server_error'
}

function problem(code: string, message: string): InputProblem {
  return { code, message, param: null, line: null }
}
