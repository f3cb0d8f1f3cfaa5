import type { Answer, Endpoint, RowError } from '../endpoint.ts'
import { isObject } from '../json.ts'

/** What OpenAI's envelope says, for a provider that says the same in another one. */
export interface ErrorFacts {
  readonly status: number
  readonly message: string
  readonly type: string
  readonly param: string | null
  readonly code: string | null
}

/** An endpoint that answers and refuses in another provider's words. */
export function reworded(
  endpoint: Endpoint,
  words: {
    /** Undefined: as it is. */
    readonly answer?: (answer: Answer) => Answer
    readonly error: (facts: ErrorFacts) => Answer
  },
): Endpoint {
  const { answer = (answer: Answer): Answer => answer, error } = words
  return {
    ...endpoint,
    check(body): RowError | undefined {
      const problem = endpoint.check(body)
      return problem && { status: problem.status, body: error(errorFacts(problem)) }
    },
    answer: (body, context) => answer(endpoint.answer(body, context)),
  }
}

export function errorFacts({ status, body }: RowError): ErrorFacts {
  const error = isObject(body['error']) ? body['error'] : {}
  const text = (name: string): string | null => (typeof error[name] === 'string' ? error[name] : null)
  return {
    status,
    message: text('message') ?? '',
    type: text('type') ?? 'invalid_request_error',
    param: text('param'),
    code: text('code'),
  }
}
