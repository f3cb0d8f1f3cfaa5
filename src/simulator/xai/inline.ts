import { randomUUID } from 'node:crypto'
import type { Json } from '../../core/request.ts'
import { isObject, parseJson } from '../json.ts'
import { KINDS } from './endpoints.ts'
import { refuse } from './envelope.ts'

/** What `POST /batches/{id}/requests` brings, as the lines a file would have had. */
export function linesOf(text: string): readonly string[] {
  const body = parseJson(text)
  const requests = isObject(body) ? body['batch_requests'] : undefined
  if (!Array.isArray(requests) || requests.length === 0) return refuse('batch_requests must be a list of requests.')
  return requests.map((request: Json, index) => {
    if (!isObject(request) || !isObject(request['batch_request'])) {
      return refuse(`batch_requests[${index}].batch_request is missing.`)
    }
    const [kind, ...others] = Object.keys(request['batch_request'])
    const path = KINDS.get(kind ?? '')?.path
    if (path === undefined || others.length > 0) {
      return refuse(`batch_requests[${index}].batch_request must be one of ${[...KINDS.keys()].join(', ')}.`)
    }
    // Without a name it is given one.
    const customId = request['batch_request_id'] ?? randomUUID()
    return JSON.stringify({
      custom_id: customId,
      method: 'POST',
      url: path,
      body: request['batch_request'][kind ?? ''],
    })
  })
}
