import type { Dialect, ReadRow, Row, RowReader } from '../batches/dialect.ts'
import { modelOf, type Endpoint } from '../endpoint.ts'
import { isObject, parseJson } from '../json.ts'
import { findTrigger } from '../triggers.ts'
import { errorEnvelope } from './envelope.ts'

export interface BatchRules {
  readonly endpoint: Endpoint
  readonly maxRows: number
}

/** `requests` of the reference: letters, digits, `_` and `-`. */
const CUSTOM_ID = /^[a-zA-Z0-9_-]{1,64}$/
const FIELDS = new Set(['custom_id', 'params'])

/**
 * Rows of a message batch. Their shape is checked at once, the whole create being refused for one of them; their params only when
 * they run. A problem's code is the HTTP status of that refusal.
 */
export function anthropicDialect(rules: BatchRules): Dialect {
  const invalid: Endpoint = {
    ...rules.endpoint,
    check: () => ({ status: 400, body: { ...errorEnvelope(400, 'The request asked to be invalid.') } }),
  }

  function row(text: string): Row | undefined {
    const request = parseJson(text)
    if (!isObject(request) || !isObject(request['params'])) return undefined
    const { custom_id: customId, params } = request
    if (typeof customId !== 'string') return undefined
    const endpoint = findTrigger(text)?.kind === 'invalid' ? invalid : rules.endpoint
    return { customId, endpoint, body: params, model: modelOf(endpoint, params) ?? '' }
  }

  return {
    reader: () => createReader(rules, row),
    row,
    executed({ customId }, outcome) {
      const result =
        outcome.kind === 'answered'
          ? { type: 'succeeded', message: billedAsBatch(outcome.body) }
          : { type: 'errored', error: outcome.body }
      return resultLine(customId, result)
    },
    unexecuted: ({ customId }, reason) => resultLine(customId, { type: reason === 'expired' ? 'expired' : 'canceled' }),
    unknownRow,
    channels: { succeeded: 'output', failed: 'output', expired: 'output', cancelled: 'output' },
    errorBody: (status, message) => ({ ...errorEnvelope(status, message) }),
    tokenLimit: () => ({
      code: '429',
      message: 'Too many requests in the batch processing queue. Please try again later.',
      param: null,
      line: null,
    }),
  }
}

/** A result nobody asked for. */
export function unknownRow(customId: string): string {
  return resultLine(customId, { type: 'expired' })
}

function resultLine(customId: string, result: Record<string, unknown>): string {
  return JSON.stringify({ custom_id: customId, result })
}

function billedAsBatch(message: Record<string, unknown>): Record<string, unknown> {
  const { usage } = message
  return { ...message, usage: { ...(isObject(usage) ? usage : {}), service_tier: 'batch' } }
}

function createReader({ maxRows }: BatchRules, readRow: (text: string) => Row | undefined): RowReader {
  const seen = new Set<string>()

  function problemWith(text: string): string | undefined {
    const request = parseJson(text)
    if (!isObject(request)) return 'Input should be a valid dictionary'
    const { custom_id: customId, params } = request
    if (customId === undefined) return 'custom_id: Field required'
    if (typeof customId !== 'string') return 'custom_id: Input should be a valid string'
    if (!CUSTOM_ID.test(customId)) return `custom_id: String should match pattern '${CUSTOM_ID.source}'`
    if (seen.has(customId)) return `custom_id: Must be unique within a batch, but '${customId}' is not`
    seen.add(customId)
    if (params === undefined) return 'params: Field required'
    if (!isObject(params)) return 'params: Input should be a valid dictionary'
    const unknown = Object.keys(request).find((name) => !FIELDS.has(name))
    return unknown === undefined ? undefined : `${unknown}: Extra inputs are not permitted`
  }

  return {
    read(text, line): ReadRow {
      if (line > maxRows) return refused('413', `requests: A batch may contain at most ${maxRows} requests`, null)
      const problem = problemWith(text)
      const row = problem === undefined ? readRow(text) : undefined
      return row ? { kind: 'row', row } : refused('400', `requests.${line - 1}.${problem ?? 'Input is invalid'}`, line)
    },
    end: () =>
      seen.size > 0
        ? undefined
        : { code: '400', message: 'requests: List should have at least 1 item', param: null, line: null },
  }
}

function refused(code: string, message: string, line: number | null): ReadRow {
  return { kind: 'refused', problem: { code, message, param: null, line } }
}
