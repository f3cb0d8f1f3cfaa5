import { STATUS_CODES } from 'node:http'
import type { Reply } from '../core/reply.ts'
import { isDisturbed } from './drain.ts'

/** The `Response` a caller gets for a reply that came late. */
export function toResponse(reply: Reply, url: string): Response {
  return new LateResponse(reply, url)
}

const encoder = new TextEncoder()

/** Statuses whose responses have no body at all. */
const BODILESS = new Set([101, 103, 204, 205, 304])

// Its types declare properties where there are accessors, which a subclass could not override.
const BareResponse: new () => object = Response

/**
 * A real Response, constructed without a body: that is what makes one dear. Everything it tells comes from the reply it
 * already holds; streams and headers are built when somebody asks.
 */
class LateResponse extends BareResponse implements Response {
  readonly #reply: Reply
  readonly #url: string
  #headers: Headers | undefined
  #stream: Exclude<Response['body'], null> | undefined
  #consumed = false

  constructor(reply: Reply, url: string) {
    super()
    this.#reply = reply
    this.#url = url
  }

  get status(): number {
    return this.#reply.status
  }

  get ok(): boolean {
    return this.#reply.status >= 200 && this.#reply.status <= 299
  }

  get statusText(): string {
    return STATUS_CODES[this.#reply.status] ?? ''
  }

  get url(): string {
    return this.#url
  }

  get redirected(): boolean {
    return false
  }

  get type(): Response['type'] {
    return 'basic'
  }

  get headers(): Headers {
    return (this.#headers ??= new Headers(this.#reply.headers))
  }

  // Not spelled out: SDKs augment the global stream types, each in its own way.
  get body(): Response['body'] {
    if (BODILESS.has(this.#reply.status)) return null
    if (!this.#stream) {
      this.#stream = new Response(this.#reply.body).body ?? undefined
      if (this.#consumed) this.#exhaust()
    }
    return this.#stream ?? null
  }

  get bodyUsed(): boolean {
    return this.#consumed || (this.#stream !== undefined && isDisturbed(this.#stream))
  }

  clone(): Response {
    if (this.#unusable()) throw new TypeError('Response.clone: Body has already been consumed.')
    return new LateResponse(this.#reply, this.#url)
  }

  async json(): Promise<unknown> {
    const text = this.#consume()
    const { json } = this.#reply
    if (json === undefined) return JSON.parse(text)
    // It is a mutable thing, and whoever gets it owns it: the next reader parses the text.
    this.#reply.json = undefined
    return json
  }

  async text(): Promise<string> {
    return this.#consume()
  }

  async bytes(): Promise<Uint8Array<ArrayBuffer>> {
    return encoder.encode(this.#consume())
  }

  async arrayBuffer(): Promise<ArrayBuffer> {
    return encoder.encode(this.#consume()).buffer
  }

  async blob(): Promise<Blob> {
    return new Response(this.#consume(), { headers: this.headers }).blob()
  }

  async formData(): Promise<FormData> {
    this.#consume()
    throw new TypeError('Content-Type was not one of "multipart/form-data" or "application/x-www-form-urlencoded".')
  }

  #unusable(): boolean {
    return this.bodyUsed || this.#stream?.locked === true
  }

  /** The text, to one reader. */
  #consume(): string {
    if (BODILESS.has(this.#reply.status)) return ''
    if (this.#unusable()) throw new TypeError('Body is unusable: Body has already been read')
    this.#consumed = true
    this.#exhaust()
    return this.#reply.body
  }

  /** Leaves a stream somebody may hold as reading it would have: locked, disturbed and at its end. */
  #exhaust(): void {
    // A stream made of a text cannot fail to be cancelled.
    void this.#stream?.getReader().cancel()
  }
}
