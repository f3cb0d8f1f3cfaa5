import { Refusal, type Reply } from '../provider.ts'

/** What a Google error says beside its code: google.rpc.Status. */
export interface Status {
  readonly code: number
  readonly message: string
  readonly status?: string
  readonly details?: readonly Detail[]
}

export interface Detail {
  readonly '@type': string
  readonly [field: string]: unknown
}

/** Numbers, names and HTTP statuses of google.rpc.Code [spec: googleapis/google/rpc/code.proto]; the first of an HTTP status is its usual one. */
const CODES: readonly (readonly [http: number, code: number, name: string])[] = [
  [400, 3, 'INVALID_ARGUMENT'],
  [400, 9, 'FAILED_PRECONDITION'],
  [401, 16, 'UNAUTHENTICATED'],
  [403, 7, 'PERMISSION_DENIED'],
  [404, 5, 'NOT_FOUND'],
  [409, 10, 'ABORTED'],
  [429, 8, 'RESOURCE_EXHAUSTED'],
  [499, 1, 'CANCELLED'],
  [500, 13, 'INTERNAL'],
  [501, 12, 'UNIMPLEMENTED'],
  [503, 14, 'UNAVAILABLE'],
  [504, 4, 'DEADLINE_EXCEEDED'],
]

/** As an operation or a row carries an error: its code is google.rpc's, not HTTP's. */
export function rpcStatus(http: number, message: string, details?: readonly Detail[]): Status {
  return { code: codeOf(http).code, message, ...(details === undefined ? {} : { details }) }
}

/** As an HTTP reply carries it: its code is HTTP's, and google.rpc's is spelt out. */
export function errorBody(
  http: number,
  message: string,
  { name = codeOf(http).name, details }: { readonly name?: string; readonly details?: readonly Detail[] } = {},
): { readonly error: Status } {
  return { error: { code: http, message, status: name, ...(details === undefined ? {} : { details }) } }
}

export function googleReply(status: number, value: unknown): Reply {
  return { status, body: { kind: 'text', text: JSON.stringify(value), type: 'application/json; charset=UTF-8' } }
}

/** Ends a handler with an error. */
export function refuse(http: number, message: string, details?: readonly Detail[]): never {
  throw new Refusal(googleReply(http, errorBody(http, message, details === undefined ? {} : { details })))
}

function codeOf(http: number): { readonly code: number; readonly name: string } {
  const [, code, name] =
    CODES.find(([status]) => status === http) ?? (http < 500 ? [http, 9, 'FAILED_PRECONDITION'] : [http, 2, 'UNKNOWN'])
  return { code, name }
}
