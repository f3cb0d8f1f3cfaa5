import type { InputProblem, ReadRow, Row, RowReader } from '../batches/dialect.ts'
import { modelOf, type Endpoint } from '../endpoint.ts'
import { isObject, parseJson } from '../json.ts'
import type { JsonObject } from '../../core/request.ts'
import { findTrigger } from '../triggers.ts'

export type LineProblem = Omit<InputProblem, 'line'>

/** What providers that read OpenAI's lines disagree on. */
export interface LineRules {
  /** The endpoint a line is for, by its method and url. */
  readonly target: (line: JsonObject) => Endpoint | LineProblem
  readonly models: 'one' | 'any'
  isModel(name: string): boolean
  /** What one bad line does: fail the batch, or only itself. */
  readonly badLine: 'refused' | 'skipped'
  readonly maxRows: number
  /** What else counts towards `maxRows`, beside the lines. */
  readonly weigh?: (row: Row) => number
}

const CUSTOM_ID_LENGTH = 64

/** Reads lines of `custom_id`, `method`, `url` and `body`. */
export function createLineReader(rules: LineRules): RowReader {
  const { maxRows, weigh } = rules
  const seen = new Set<string>()
  let model: string | undefined
  let weight = 0

  function read(text: string): Row | LineProblem {
    const line = parseJson(text)
    if (!isObject(line)) return wrong('invalid_json_line', 'This line is not parseable as valid JSON.', null)

    const customId = line['custom_id']
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

    const endpoint = rules.target(line)
    if (!('path' in endpoint)) return endpoint
    const body = line['body']
    if (!isObject(body)) return wrong('invalid_body', "Invalid 'body': expected an object.", 'body')
    if (body['stream'] === true)
      return wrong('streaming_unsupported', 'Streaming is not supported in a batch.', 'body.stream')
    return readModel(customId, endpoint, body, text)
  }

  function readModel(customId: string, endpoint: Endpoint, body: JsonObject, text: string): Row | LineProblem {
    const named = modelOf(endpoint, body)
    if (named === undefined)
      return wrong('missing_required_parameter', "Missing required parameter: 'model'.", 'body.model')
    if (!rules.isModel(named)) {
      return wrong(
        'model_not_found',
        `The model '${named}' does not exist or is not supported for batches.`,
        'body.model',
      )
    }
    if (rules.models === 'one' && model !== undefined && named !== model) {
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
      if ('code' in row) return { kind: rules.badLine, problem: { ...row, line } }
      if (weigh) weight += weigh(row)
      return weight > maxRows ? { kind: 'refused', problem: tooMany(maxRows) } : { kind: 'row', row }
    },
    end() {
      if (model !== undefined) return undefined
      return { code: 'empty_file', message: 'The input file is empty.', param: null, line: null }
    },
  }
}

/** A line a reader accepted, read again. */
export function rowOfLine(text: string, target: LineRules['target']): Row | undefined {
  const line = parseJson(text)
  if (!isObject(line) || !isObject(line['body'])) return undefined
  const endpoint = target(line)
  if (!('path' in endpoint)) return undefined
  const { body, custom_id: id } = line
  return { customId: typeof id === 'string' ? id : '', endpoint, body, model: modelOf(endpoint, body) ?? '' }
}

export function wrong(code: string, message: string, param: string | null): LineProblem {
  return { code, message, param }
}

/** A target for batches whose lines must all name the batch's own endpoint. */
export function onlyTarget(endpoint: Endpoint): LineRules['target'] {
  return (line) => {
    if (line['method'] !== 'POST') return wrong('invalid_method', "Invalid 'method': expected 'POST'.", 'method')
    if (line['url'] === endpoint.path) return endpoint
    return wrong('url_mismatch', `The URL of this line does not match the batch's endpoint, ${endpoint.path}.`, 'url')
  }
}

function tooMany(rows: number): InputProblem {
  return { code: 'too_many_tasks', message: `A batch may contain ${rows} requests at most.`, param: null, line: null }
}
