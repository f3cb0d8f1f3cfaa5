import type { Dialect, ReadRow } from '../batches/dialect.ts'
import { createLineReader, rowOfLine, wrong, type LineRules } from '../openai-like/read-lines.ts'
import { lineId } from '../openai/dialect.ts'
import type { World } from '../provider.ts'
import { ENDPOINTS } from './endpoints.ts'
import { errorBody } from './envelope.ts'
import { isModel } from './models.ts'

const MAX_BODY_BYTES = 10 * 1024 * 1024

/** OpenAI's lines, each of any endpoint and model; an error is text that holds JSON. */
export function doublewordDialect(world: World): Dialect {
  return {
    reader() {
      const lines = createLineReader({
        target,
        models: 'any',
        isModel: (name) => isModel(name, world.models),
        badLine: 'refused',
        maxRows: world.limits.jobs ?? Infinity,
      })
      return {
        read: (text, line) => checked(lines.read(text, line), text, line),
        end: () => lines.end(),
      }
    },
    row: (text) => rowOfLine(text, target),
    executed({ customId }, { kind, status, body }, place) {
      const id = lineId(place)
      if (kind === 'refused') return errorLine(id, customId, { type: typeOf(status), details: detailsOf(status, body) })
      return JSON.stringify({
        id,
        custom_id: customId,
        response: { status_code: status, request_id: null, body },
        error: null,
      })
    },
    // Only where a batch ends for another reason: rows that were cancelled are in neither file.
    unexecuted: ({ customId }, _, place) => errorLine(lineId(place), customId, { type: 'BatchTerminated' }),
    unknownRow,
    channels: { succeeded: 'output', failed: 'errors', expired: 'errors', cancelled: undefined },
    errorBody,
    tokenLimit: (model, limit) => ({
      code: NO_ROOM,
      message: `Insufficient capacity for model ${model}: at most ${limit} tokens may wait.`,
      param: null,
      line: null,
    }),
  }
}

/** Said at create, as a 429; every other complaint about an input is one about its lines. */
export const NO_ROOM = 'no_room'

export function unknownRow(customId: string): string {
  const body = { id: 'chatcmpl-unknown', object: 'chat.completion', choices: [] }
  const response = { status_code: 200, request_id: null, body }
  return JSON.stringify({ id: 'batch_req_unknown', custom_id: customId, response, error: null })
}

const target: LineRules['target'] = (line) => {
  if (line['method'] !== 'POST') return wrong('invalid_method', "Unsupported method; expected 'POST'.", 'method')
  const endpoint = typeof line['url'] === 'string' ? ENDPOINTS.get(line['url']) : undefined
  return (
    endpoint ??
    wrong('invalid_url', `Unsupported URL path; expected one of ${[...ENDPOINTS.keys()].join(', ')}.`, 'url')
  )
}

function checked(read: ReadRow, text: string, line: number): ReadRow {
  if (read.kind !== 'row') return read
  const { customId } = read.row
  for (let index = 0; index < customId.length; index++) {
    if (customId.charCodeAt(index) > 127) return refused('invalid_custom_id', 'custom_id must be ASCII.', line)
  }
  // The rest of a line is short: only one that is long enough has to be measured.
  if (text.length * 3 > MAX_BODY_BYTES && Buffer.byteLength(JSON.stringify(read.row.body)) > MAX_BODY_BYTES) {
    return refused('body_too_large', `the body is larger than ${MAX_BODY_BYTES} bytes.`, line)
  }
  return read
}

function refused(code: string, message: string, line: number): ReadRow {
  return { kind: 'refused', problem: { code, message, param: null, line } }
}

function errorLine(id: string, customId: string, reason: unknown): string {
  return JSON.stringify({
    id,
    custom_id: customId,
    response: null,
    error: { code: null, message: JSON.stringify(reason) },
  })
}

/** What it tries again by itself before it gives up. */
function typeOf(status: number): string {
  const retried = status === 404 || status === 408 || status === 429 || status >= 500
  return retried ? 'RetriableHttpStatus' : 'NonRetriableHttpStatus'
}

function detailsOf(status: number, body: unknown): { readonly status: number; readonly body: string } {
  return { status, body: JSON.stringify(body) }
}
