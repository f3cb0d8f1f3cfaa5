import type { Dialect, Row, RowPlace } from '../batches/dialect.ts'
import type { Endpoint } from '../endpoint.ts'
import { createLineReader, onlyTarget, rowOfLine } from '../openai-like/read-lines.ts'
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

/** Lines of an OpenAI batch: one endpoint, one model, and the first bad line fails them all. */
export function openaiDialect(rules: BatchRules): Dialect {
  const { endpoint, maxRows, models } = rules
  const target = onlyTarget(endpoint)
  return {
    reader: () =>
      createLineReader({
        target,
        models: 'one',
        isModel: (name) => isModel(name, models),
        badLine: 'refused',
        maxRows,
        ...(endpoint.path === '/v1/embeddings' ? { weigh: ({ body }: Row) => embeddingInputs(body) } : {}),
      }),
    row: (text) => rowOfLine(text, target),
    ...ROWS,
    errorBody: (status, message) => ({ error: errorOfStatus(status, message) }),
    tokenLimit: (model, limit) => ({
      code: 'token_limit_exceeded',
      message: `Enqueued token limit reached for ${model} in organization ${rules.organization}. Limit: ${limit} enqueued tokens. Please try again once some in_progress batches have been completed.`,
      param: null,
      line: null,
    }),
  }
}

const UNEXECUTED = {
  expired: {
    code: 'batch_expired',
    message: 'This request could not be executed before the completion window expired.',
  },
  cancelled: {
    code: 'batch_cancelled',
    message: 'This request was not executed because the batch was cancelled.',
  },
} as const

/** What OpenAI's results look like. */
export const ROWS: Pick<Dialect, 'executed' | 'unexecuted' | 'unknownRow' | 'channels'> = {
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
}

export function lineId({ batchId, index }: RowPlace): string {
  return `batch_req_${batchId.slice(-8)}${index.toString(16).padStart(6, '0')}`
}

export function unknownRow(customId: string): string {
  const body = { id: 'chatcmpl-unknown', object: 'chat.completion', choices: [] }
  const response = { status_code: 200, request_id: 'req_unknown', body }
  return JSON.stringify({ id: 'batch_req_unknown', custom_id: customId, response, error: null })
}
