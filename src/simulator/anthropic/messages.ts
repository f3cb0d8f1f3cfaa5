import type { IncomingHttpHeaders } from 'node:http'
import type { Endpoint, RowError } from '../endpoint.ts'
import { checkParams, type ParamRules } from './check-params.ts'
import { errorEnvelope } from './envelope.ts'
import { lastUserText, messageOf } from './message.ts'
import { messageEvents } from './message-events.ts'
import { isModel } from './models.ts'

const MESSAGES_PATH = '/v1/messages'

/** The one thing Anthropic executes, live or as a batch row. What it accepts depends on who asks how. */
export function messagesEndpoint(rules: ParamRules, models: readonly string[]): Endpoint {
  return {
    path: MESSAGES_PATH,
    defaultModel: undefined,
    check(params) {
      const { model } = params
      if (model === undefined) return rowError(400, 'model: Field required')
      if (typeof model !== 'string') return rowError(400, 'model: Input should be a valid string')
      if (!isModel(model, models)) return rowError(404, `model: ${model}`)
      const problem = checkParams(params, rules)
      return problem === undefined ? undefined : rowError(400, problem)
    },
    prompt: ({ messages }) => lastUserText(messages),
    answer: messageOf,
    events: messageEvents,
  }
}

export function rulesOf(headers: IncomingHttpHeaders, query: URLSearchParams, way: ParamRules['way']): ParamRules {
  return {
    version: String(headers['anthropic-version']),
    beta: headers['anthropic-beta'] !== undefined || query.get('beta') === 'true',
    way,
  }
}

function rowError(status: number, message: string): RowError {
  return { status, body: { ...errorEnvelope(status, message) } }
}
