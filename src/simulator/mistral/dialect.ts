import type { JsonObject } from '../../core/request.ts'
import type { Dialect, InputProblem, ReadRow, Row, RowPlace, RowReader } from '../batches/dialect.ts'
import { modelOf, type Endpoint } from '../endpoint.ts'
import { isObject, parseJson } from '../json.ts'
import { findTrigger } from '../triggers.ts'
import { errorBody } from './envelope.ts'

export interface JobRules {
  readonly endpoint: Endpoint
  /** For rows that name none. Which of two names would win is not told anywhere; here it is the row's. */
  readonly model: string | undefined
  readonly maxRows: number
}

/**
 * Lines of a Mistral job: `custom_id` and `body`. A bad line fails the job, a bad body only its own row. Rows that a timeout or a
 * cancel overtook are in neither file.
 */
export function mistralDialect(rules: JobRules): Dialect {
  const { endpoint } = rules
  const batched: Endpoint = {
    ...endpoint,
    check: (body) =>
      body['stream'] === true
        ? { status: 400, body: errorBody(400, 'Streaming is not supported in a batch.') }
        : endpoint.check(body),
  }

  function row(text: string): Row | undefined {
    const line = parseJson(text)
    if (!isObject(line) || !isObject(line['body'])) return undefined
    const { custom_id: id } = line
    const body = withModel(line['body'], rules.model)
    return { customId: typeof id === 'string' ? id : '', endpoint: batched, body, model: modelOf(endpoint, body) ?? '' }
  }

  return {
    reader: () => createReader(rules.maxRows, row),
    row,
    executed({ customId }, { status, body }, place) {
      return resultLine(lineId(place), customId, { status_code: status, body })
    },
    unexecuted: ({ customId }, _, place) => resultLine(lineId(place), customId, null),
    unknownRow,
    channels: { succeeded: 'output', failed: 'errors', expired: undefined, cancelled: undefined },
    errorBody,
    tokenLimit: (model, limit) =>
      problemOf(`Too many tokens are waiting in batches for ${model}: the limit is ${limit}.`, null),
  }
}

/** A result nobody asked for. */
export function unknownRow(customId: string): string {
  return resultLine('batch-unknown', customId, { status_code: 200, body: {} })
}

function withModel(body: JsonObject, model: string | undefined): JsonObject {
  return model === undefined || typeof body['model'] === 'string' ? body : { ...body, model }
}

function resultLine(id: string, customId: string, response: Record<string, unknown> | null): string {
  return JSON.stringify({ id, custom_id: customId === '' ? null : customId, response, error: null })
}

function lineId({ batchId, index }: RowPlace): string {
  return `batch-${batchId.slice(0, 8)}-${index}`
}

function createReader(maxRows: number, readRow: (text: string) => Row | undefined): RowReader {
  const seen = new Set<string>()
  let rows = 0

  return {
    read(text, line): ReadRow {
      if (line > maxRows) return refused(`A batch may contain ${maxRows} requests at most.`, null)
      const row = readRow(text)
      if (!row) return refused(`Line ${line} is not a JSON object with a body.`, line)
      // The SDK's types let a row go without an id; two rows with the same one cannot be told apart.
      if (row.customId !== '' && seen.has(row.customId)) {
        return refused(`The custom_id "${row.customId}" appears more than once.`, line)
      }
      if (findTrigger(text)?.kind === 'invalid') return refused(`Line ${line} asked to be invalid.`, line)
      seen.add(row.customId)
      rows++
      return { kind: 'row', row }
    },
    end: () => (rows > 0 ? undefined : problemOf('The input is empty.', null)),
  }
}

function problemOf(message: string, line: number | null): InputProblem {
  return { code: 'invalid_input', message, param: null, line }
}

function refused(message: string, line: number | null): ReadRow {
  return { kind: 'refused', problem: problemOf(message, line) }
}
