import type { Dialect, Unexecuted } from '../batches/dialect.ts'
import { createLineReader, rowOfLine, wrong, type LineRules } from '../openai-like/read-lines.ts'
import type { World } from '../provider.ts'
import { BATCHABLE, KINDS } from './endpoints.ts'
import { errorBody } from './envelope.ts'
import { isModel } from './models.ts'

const MAX_ROWS = 50_000

/** google.rpc.Code behind an HTTP status. */
const RPC_CODES: Readonly<Record<number, number>> = {
  400: 3,
  401: 16,
  403: 7,
  404: 5,
  429: 8,
  499: 1,
  503: 14,
  504: 4,
}
const INTERNAL = 13

const ENDED: Readonly<Record<Unexecuted, { readonly code: number; readonly message: string }>> = {
  cancelled: { code: 1, message: 'The batch was cancelled.' },
  expired: { code: 4, message: 'The request was not executed in time.' },
}

/** OpenAI's lines, each of any endpoint and model; all results in one list, errors as gRPC codes. */
export function xaiDialect(world: World): Dialect {
  return {
    reader: () =>
      createLineReader({
        target,
        models: 'any',
        isModel: (name) => isModel(name, world.models),
        badLine: 'refused',
        maxRows: world.limits.jobs ?? MAX_ROWS,
      }),
    row: (text) => rowOfLine(text, target),
    executed({ customId, endpoint }, outcome) {
      if (outcome.kind === 'answered') {
        const response = { [resultName(endpoint.path)]: outcome.body }
        return JSON.stringify({ batch_request_id: customId, batch_result: { response } })
      }
      const { error } = outcome.body
      const message = typeof error === 'string' ? error : ''
      return errorRow(customId, { code: RPC_CODES[outcome.status] ?? INTERNAL, message })
    },
    unexecuted: ({ customId }, reason) => errorRow(customId, ENDED[reason]),
    unknownRow,
    channels: { succeeded: 'output', failed: 'output', expired: 'output', cancelled: 'output' },
    errorBody,
    tokenLimit: (model, limit) => ({
      code: 'token_limit_exceeded',
      message: `Too many tokens are waiting for ${model}; the limit is ${limit}.`,
      param: null,
      line: null,
    }),
  }
}

export function unknownRow(customId: string): string {
  const response = { chat_get_completion: { id: 'unknown', object: 'chat.completion', choices: [] } }
  return JSON.stringify({ batch_request_id: customId, batch_result: { response } })
}

function errorRow(customId: string, error: { readonly code: number; readonly message: string }): string {
  return JSON.stringify({ batch_request_id: customId, batch_result: { error }, error_message: error.message })
}

const target: LineRules['target'] = (line) => {
  if (line['method'] !== 'POST') return wrong('invalid_method', 'the method must be POST', 'method')
  const endpoint = typeof line['url'] === 'string' ? BATCHABLE.get(line['url']) : undefined
  return endpoint ?? wrong('invalid_url', 'the url is not one that can be batched', 'url')
}

function resultName(path: string): string {
  return [...KINDS.values()].find((kind) => kind.path === path)?.result ?? 'chat_get_completion'
}
