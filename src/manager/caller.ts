import PQueue from 'p-queue'
import type { ProviderRequest } from '../core/adapter.ts'
import { NetworkError, ProviderError } from '../core/errors.ts'
import type { HeaderPair } from '../core/request.ts'
import type { AccountCall } from './context.ts'
import { multipartOf } from './multipart.ts'

/** How many of our own calls one origin sees at once. */
const PER_ORIGIN = 8
/** A reply that takes longer than this is not coming. Uploads and downloads are bounded by their idle time instead. */
const REPLY_TIMEOUT_MS = 120_000
const MAX_REDIRECTS = 5
/** A Retry-After beyond this is asked about again after it: a typing error must not hold a caller for a year. */
const LONGEST_RETRY_AFTER_MS = 60 * 60_000

/** A refusal in plain text is no longer than this many characters; what is longer is a page. */
const LONGEST_WORDS = 500

/** Values of headers that are shorter are names, versions and words. */
const SHORTEST_SECRET = 16

export interface CallerOptions {
  /** Reaches the network past our own interception. */
  readonly fetch: (url: string, init: RequestInit) => Promise<Response>
  readonly now: () => number
  /** Ends every call but a create: the scope has stopped, and nobody would read the reply. */
  readonly stopping: AbortSignal
}

/** Where and as whom an account's calls go. Held in memory only. */
export interface Line {
  readonly baseUrl: string
  /** Query every call carries, with its question mark, or ''. */
  readonly query: string
  readonly headers: readonly HeaderPair[]
}

/** Makes our own HTTP calls: the caller's headers, a bound per origin, no retry of any kind. */
export class Caller {
  readonly #options: CallerOptions
  readonly #origins = new Map<string, PQueue>()

  constructor(options: CallerOptions) {
    this.#options = options
  }

  line(line: Line): AccountCall {
    const origin = new URL(line.baseUrl).origin
    const queue = this.#origins.get(origin) ?? new PQueue({ concurrency: PER_ORIGIN })
    this.#origins.set(origin, queue)
    return {
      baseUrl: line.baseUrl,
      send: (request) => queue.add(() => this.#send(line, request, [this.#options.stopping])),
      once: (writeAhead) => {
        let sent = false
        return {
          baseUrl: line.baseUrl,
          send: (request) =>
            queue.add(async () => {
              if (sent) throw new Error('a create call is sent once; its adapter tried a second time')
              writeAhead()
              sent = true
              return await this.#send(line, request, [])
            }),
        }
      },
    }
  }

  async #send(line: Line, request: ProviderRequest, signals: readonly AbortSignal[]): Promise<Response> {
    const url = urlOf(line, request)
    // A URL that a reply has named may hold a signature in its query.
    const what = `${request.method} ${request.path.startsWith('/') ? request.path : url.pathname}`
    const isOwn = url.origin === new URL(line.baseUrl).origin
    const init: RequestInit = {
      method: request.method,
      headers: [
        ...(isOwn ? line.headers : []).map(([name, value]): [string, string] => [name, value]),
        ...Object.entries(request.headers ?? {}),
      ],
      redirect: 'manual',
      ...(request.body === undefined ? {} : { body: bodyOf(request.body) }),
      signal: AbortSignal.any(request.isTransfer ? [...signals] : [...signals, AbortSignal.timeout(REPLY_TIMEOUT_MS)]),
    }
    let response: Response
    try {
      response = await this.#follow(url.href, init)
    } catch (cause) {
      throw new NetworkError(`${what}: ${reasonOf(cause)}`, { cause })
    }
    if (response.ok) return response
    throw await refusal(response, what, line, this.#options.now())
  }

  /** A download may be redirected to storage elsewhere, which must not see the key. Nothing else is ever redirected. */
  async #follow(url: string, init: RequestInit): Promise<Response> {
    let response = await this.#options.fetch(url, init)
    let from = new URL(url)
    const anonymous = { ...init, headers: [] }
    let carried: RequestInit = init
    for (let hop = 0; hop < MAX_REDIRECTS && init.method === 'GET' && isRedirect(response); hop += 1) {
      const to = new URL(response.headers.get('location') ?? '', from)
      await response.body?.cancel()
      // Once gone they stay gone, wherever the next hop leads.
      if (to.origin !== from.origin) carried = anonymous
      response = await this.#options.fetch(to.href, carried)
      from = to
    }
    return response
  }
}

function bodyOf(body: string | FormData | Blob): string | Blob {
  return body instanceof FormData ? multipartOf(body) : body
}

function isRedirect(response: Response): boolean {
  return [301, 302, 303, 307, 308].includes(response.status) && response.headers.has('location')
}

function urlOf(line: Line, { path, query = {} }: ProviderRequest): URL {
  const url = new URL(path.startsWith('/') ? line.baseUrl + path : path)
  const isOwn = url.origin === new URL(line.baseUrl).origin
  const carried = isOwn ? [...new URLSearchParams(line.query)].filter(([name]) => !(name in query)) : []
  const given = Object.entries(query).flatMap(([name, values]) =>
    [values].flat().map((value) => [name, value] as const),
  )
  for (const [name, value] of [...carried, ...given]) url.searchParams.append(name, value)
  return url
}

/** Whether a failure is the provider's, or that of the way to it, and may pass. Any other is a fault of ours. */
export function isOutside(error: unknown): error is ProviderError | NetworkError {
  return error instanceof ProviderError || error instanceof NetworkError
}

/** The innermost reason of a failed fetch: `ECONNREFUSED`, `other side closed`, … Never holds a header or a body. */
export function reasonOf(error: unknown): string {
  let innermost = error
  // A syntax error quotes the text it could not read, which may be anything.
  while (innermost instanceof Error && innermost.cause instanceof Error && !(innermost.cause instanceof SyntaxError)) {
    innermost = innermost.cause
  }
  if (!(innermost instanceof Error)) return 'unknown failure'
  const code = 'code' in innermost && typeof innermost.code === 'string' ? innermost.code : undefined
  return innermost.message || code || innermost.name
}

async function refusal(response: Response, what: string, line: Line, now: number): Promise<ProviderError> {
  // The status alone decides what happens; a body that breaks off takes nothing from it.
  const body = withoutSecrets(await response.text().catch(() => ''), line)
  const { code, message } = readEnvelope(body)
  const retryAfter = retryAfterMs(response.headers, now)
  return new ProviderError(
    response.status,
    code,
    body,
    retryAfter,
    message ?? plainText(body) ?? `${what}: HTTP ${response.status}`,
  )
}

/** A complaint about a key may repeat it, and complaints are stored, shown and handed on. */
function withoutSecrets(text: string, { headers, query }: Line): string {
  const values = [...headers.map(([, value]) => value), ...new URLSearchParams(query).values()]
  return values
    .flatMap((value) => value.split(/\s+/))
    .filter(({ length }) => length >= SHORTEST_SECRET)
    .sort((a, b) => b.length - a.length)
    .reduce((rest, secret) => rest.replaceAll(secret, '[redacted]'), text)
}

/**
 * Reads the envelopes there are: `{"error": {"code" | "type" | "status", "message", "details"}}`, `{"error": "message", "code"}`, and
 * `{"code" | "type", "message"}` without any. Anything else has neither.
 */
export function readEnvelope(body: unknown): { code: string | undefined; message: string | undefined } {
  const none = { code: undefined, message: undefined }
  let json = body
  if (typeof body === 'string') {
    try {
      json = JSON.parse(body)
    } catch {
      return none
    }
  }
  if (typeof json !== 'object' || json === null) return none
  const error: unknown = Reflect.get(json, 'error')
  if (typeof error === 'string') return { code: textAt(json, 'code'), message: error }
  const about = typeof error === 'object' && error !== null ? error : json
  return {
    code: textAt(about, 'code') ?? detailOf(about) ?? textAt(about, 'type') ?? textAt(about, 'status'),
    message: textAt(about, 'message'),
  }
}

/** What says more than the kind of an error: Anthropic's `details.error_code`, a `reason` among Google's `details`. */
function detailOf(about: object): string | undefined {
  const details: unknown = Reflect.get(about, 'details')
  const all: readonly unknown[] = Array.isArray(details) ? details : [details]
  for (const detail of all) {
    const code =
      typeof detail === 'object' && detail !== null
        ? (textAt(detail, 'error_code') ?? textAt(detail, 'reason'))
        : undefined
    if (code !== undefined) return code
  }
  return undefined
}

function textAt(value: object, key: string): string | undefined {
  const found: unknown = Reflect.get(value, key)
  return typeof found === 'string' && found !== '' ? found : undefined
}

/** A body that is words and no markup: some providers refuse in one line of text. */
function plainText(body: string): string | undefined {
  const text = body.trim()
  return text === '' || text.length > LONGEST_WORDS || /^[<{["]/.test(text) ? undefined : text
}

/** `retry-after-ms`, or `Retry-After` in seconds or as a date. */
function retryAfterMs(headers: Headers, now: number): number | undefined {
  const exact = Number(headers.get('retry-after-ms') || Number.NaN)
  const text = headers.get('retry-after') || 'none'
  const seconds = Number(text)
  const told = Number.isNaN(seconds) ? Date.parse(text) - now : seconds * 1000
  const ms = exact >= 0 ? exact : told
  return ms >= 0 ? Math.min(ms, LONGEST_RETRY_AFTER_MS) : undefined
}
