import type { IncomingMessage } from 'node:http'
import { z } from 'zod'
import { faultSchema, type Fault } from './faults.ts'
import { parseJson } from './json.ts'
import type { Ledger } from './ledger.ts'
import { jsonReply, readText, type Reply } from './provider.ts'
import type { Controls } from './server.ts'

/** What can be done to a running simulator. */
export interface Controlled {
  ledger(): Ledger
  fault(fault: Fault): void
  clearFaults(): void
  faults(): readonly Fault[]
  advance(ms: number): void
}

const PREFIX = '/_simulator/'
const advanceSchema = z.strictObject({ ms: z.number().nonnegative() })

/**
 * The controls over HTTP, for a simulator in a process of its own: `GET ledger`, `GET|POST|DELETE faults` (one fault, or a list),
 * `POST advance` with `{"ms": …}`.
 */
export function createControls(controlled: Controlled): Controls {
  return (request, url) => (url.pathname.startsWith(PREFIX) ? control(request, url.pathname) : undefined)

  async function control(request: IncomingMessage, path: string): Promise<Reply> {
    const call = `${request.method ?? 'GET'} ${path.slice(PREFIX.length)}`
    try {
      switch (call) {
        case 'GET ledger':
          return jsonReply(200, controlled.ledger())
        case 'GET faults':
          return jsonReply(200, controlled.faults())
        case 'DELETE faults':
          controlled.clearFaults()
          return jsonReply(200, [])
        case 'POST faults': {
          const body = parseJson(await readText(request))
          const faults = z.array(faultSchema).parse(Array.isArray(body) ? body : [body])
          for (const fault of faults) controlled.fault(fault)
          return jsonReply(200, controlled.faults())
        }
        case 'POST advance': {
          controlled.advance(advanceSchema.parse(parseJson(await readText(request))).ms)
          return jsonReply(200, {})
        }
        default:
          return refusal(404, `The simulator has no control "${call}"`)
      }
    } catch (error) {
      return refusal(400, error instanceof z.ZodError ? z.prettifyError(error) : String(error))
    }
  }
}

function refusal(status: number, message: string): Reply {
  return jsonReply(status, { error: { message } })
}
