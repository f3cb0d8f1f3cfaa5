import type { JsonObject } from '../../core/request.ts'
import type { Dialect, InputProblem, ReadRow, Row, RowPlace, RowReader } from '../batches/dialect.ts'
import { modelOf, type Endpoint } from '../endpoint.ts'
import { isObject, parseJson } from '../json.ts'
import { findTrigger } from '../triggers.ts'
import { embeddingInputs } from './answers/embeddings.ts'
import { errorOfStatus } from './envelope.ts'
import { isModel } from './models.ts'

export interface BatchRules {
  readonly endpoint: Endpoint
  readonly maxRows: number
  /** Further models to know. */
  readonly models: readonly string[]
  /** For messages. */
  readonly organization: string
}

const CUSTOM_ID_LENGTH = 64

/** Lines of an OpenAI batch: one endpoint, one model, and the first bad line fails them all. */
export function openaiDialect(rules: BatchRules): Dialect {
  const { endpoint } = rules
  return {
    reader: () => createReader(rules),
    row(text) {
      const row = parseJson(text)
      if (!isObject(row) || !isObject(row['body'])) return undefined
      const { body, custom_id: id } = row
      return { customId: typeof id === 'string' ? id : '', endpoint, body, model: modelOf(endpoint, body) ?? '' }
    },
    executed({ customId }, { status, body }, place) {
      const id = lineId(place)
      const response = { status_code: status, request_id: `req_${id.slice(10)}`, body }
      return JSON.stringify({ id, custom_id: customId, response, error: null })
    },
    unexecuted({ customId }, reason, place) {
      return JSON.stringify({ id: lineId(place), custom_id: customId, response: null, error: UNEXECUTED[reason] })
    },
    unknownRow,
    channels: { succeeded: 'output', failed: 'errors', expired: 'errors', cancelled: 'errors' },
    errorBody: (status, message) => ({ error: errorOfStatus(status, message) }),
    tokenLimit: (model, limit) => ({
      code: 'token_limit_exceeded',
      message: `Enqueued token limit reached for ${model} in organization ${rules.organization}. Limit: ${limit} enqueued tokens. Please try again once some in_progress batches have been completed.`,
      param: null,
      line: null,
    }),
  }
}

export const UNEXECUTED = {
  expired: {
    code: 'batch_expired',
    message: 'This request could not be executed before the completion window expired.',
  },
  cancelled: {
    code: 'batch_cancelled',
    message: 'This request was not executed because the batch was cancelled.',
  },
} as const

export function lineId({ batchId, index }: RowPlace): string {
  return `batch_req_${batchId.slice(-8)}${index.toString(16).padStart(6, '0')}`
}

export function unknownRow(customId: string): string {
  const body = { id: 'chatcmpl-unknown', object: 'chat.completion', choices: [] }
  const response = { status_code: 200, request_id: 'req_unknown', body }
  return JSON.stringify({ id: 'batch_req_unknown', custom_id: customId, response, error: null })
}

function createReader({ endpoint, maxRows, models }: BatchRules): RowReader {
  const seen = new Set<string>()
  let model: string | undefined
  let embedded = 0

  function read(text: string): Row | Omit<InputProblem, 'line'> {
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
      return wrong(
        'duplicate_custom_id',
        `The custom_id '${customId}' appears more than once in this file.`,
        'custom_id',
      )
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
    return readModel(customId, body, text)
  }

  function readModel(customId: string, body: JsonObject, text: string): Row | Omit<InputProblem, 'line'> {
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
    model = named
    return { customId, endpoint, body, model: named }
  }

  return {
    read(text, line): ReadRow {
      if (line > maxRows) return { kind: 'refused', problem: tooMany(maxRows) }
      const row = read(text)
      if ('code' in row) return { kind: 'refused', problem: { ...row, line } }
      if (endpoint.path === '/v1/embeddings') embedded += embeddingInputs(row.body)
      return embedded > maxRows ? { kind: 'refused', problem: tooMany(maxRows) } : { kind: 'row', row }
    },
    end() {
      if (model !== undefined) return undefined
      return { code: 'empty_file', message: 'The input file is empty.', param: null, line: null }
    },
  }
}

function wrong(code: string, message: string, param: string | null): Omit<InputProblem, 'line'> {
  return { code, message, param }
}

function tooMany(rows: number): InputProblem {
  return { code: 'too_many_tasks', message: `A batch may contain ${rows} requests at most.`, param: null, line: null }
}
