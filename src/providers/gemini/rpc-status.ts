import { z } from 'zod'

/** google.rpc.Code: name and HTTP status by number [spec: google/rpc/code.proto]. */
const CODES: readonly (readonly [name: string, http: number])[] = [
  ['OK', 200],
  ['CANCELLED', 499],
  ['UNKNOWN', 500],
  ['INVALID_ARGUMENT', 400],
  ['DEADLINE_EXCEEDED', 504],
  ['NOT_FOUND', 404],
  ['ALREADY_EXISTS', 409],
  ['PERMISSION_DENIED', 403],
  ['RESOURCE_EXHAUSTED', 429],
  ['FAILED_PRECONDITION', 400],
  ['ABORTED', 409],
  ['OUT_OF_RANGE', 400],
  ['UNIMPLEMENTED', 501],
  ['INTERNAL', 500],
  ['UNAVAILABLE', 503],
  ['DATA_LOSS', 500],
  ['UNAUTHENTICATED', 401],
]

/** The name Google gives an HTTP status, where several share one [spec: as above, read the other way]. */
const NAMES: ReadonlyMap<number, string> = new Map([
  [400, 'INVALID_ARGUMENT'],
  [401, 'UNAUTHENTICATED'],
  [403, 'PERMISSION_DENIED'],
  [404, 'NOT_FOUND'],
  [409, 'ABORTED'],
  [429, 'RESOURCE_EXHAUSTED'],
  [499, 'CANCELLED'],
  [501, 'UNIMPLEMENTED'],
  [503, 'UNAVAILABLE'],
  [504, 'DEADLINE_EXCEEDED'],
])

/** google.rpc.Status inside a batch. `code` is the rpc number, but names and HTTP statuses have been seen in its place [vercel/ai google-batch.ts]. */
export interface RpcStatus {
  readonly code?: number | string | null | undefined
  readonly status?: string | null | undefined
  readonly message?: string | null | undefined
}

export const RpcStatus: z.ZodType<RpcStatus> = z.object({
  code: z.union([z.number(), z.string()]).nullish().catch(null),
  status: z.string().nullish().catch(null),
  message: z.string().nullish().catch(null),
})

/** An rpc status as the live endpoint would have told it. */
export interface HttpError {
  readonly http: number
  readonly name: string
  readonly message: string
}

/** undefined: it says that nothing went wrong. */
export function toHttpError({ code, status, message }: RpcStatus): HttpError | undefined {
  const [name, http] = readCode(code) ?? readCode(status) ?? ['UNKNOWN', 500]
  const isEmpty = (code ?? status ?? undefined) === undefined && !message
  return isEmpty || http === 200 ? undefined : { http, name, message: message || name }
}

function readCode(code: number | string | null | undefined): readonly [name: string, http: number] | undefined {
  if (code === null || code === undefined || code === '') return undefined
  const number = Number(code)
  if (Number.isNaN(number)) return CODES.find(([name]) => name === code)
  return number >= 100 ? [nameOf(number), number] : CODES[number]
}

function nameOf(http: number): string {
  return NAMES.get(http) ?? (http >= 500 ? 'INTERNAL' : 'FAILED_PRECONDITION')
}

/** The envelope of the live endpoints, where `code` is the HTTP status. `details` is JSON text. */
export function errorBody({ http, name, message }: HttpError, details?: string): string {
  const error = JSON.stringify({ code: http, message, status: name })
  return `{"error":${details === undefined ? error : `${error.slice(0, -1)},"details":${details}}`}}`
}

/** A refusal of ours in the same envelope: our own word for it is the reason in google.rpc.ErrorInfo, where Google puts its own. */
export function ownErrorBody(http: number, code: string, message: string): string {
  const details = [{ '@type': 'type.googleapis.com/google.rpc.ErrorInfo', reason: code, domain: 'offpeak' }]
  return errorBody({ http, name: nameOf(http), message }, JSON.stringify(details))
}
