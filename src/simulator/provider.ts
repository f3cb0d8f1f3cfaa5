import type { IncomingHttpHeaders } from 'node:http'
import type { Readable } from 'node:stream'
import type { SimulatorClock } from './clock.ts'
import type { FaultBook } from './faults.ts'
import type { FileStore } from './file-store.ts'
import type { LedgerAccount, LedgerBook } from './ledger.ts'
import type { Operation } from './operation.ts'

/** What a provider's surface stands on. */
export interface World {
  readonly clock: SimulatorClock
  readonly ledger: LedgerBook
  readonly faults: FaultBook
  readonly files: FileStore
  readonly limits: SimulatorLimits
  /** Further models to know. */
  readonly models: readonly string[]
  readonly batchMs: number
}

/** The provider's own limits unless set lower, to provoke its refusals without 50,000 rows. */
export interface SimulatorLimits {
  /** Rows of one batch. */
  readonly jobs?: number | undefined
  /** Bytes of one batch's input. */
  readonly bytes?: number | undefined
  /** Prompt tokens (about four characters each) waiting in unfinished batches, per account and model. Default: no limit. */
  readonly enqueuedTokens?: number | undefined
  /** Bytes of one uploaded file. */
  readonly fileBytes?: number | undefined
}

/** Providers the simulator plays. */
export type SimulatedProvider =
  | 'openai'
  | 'anthropic'
  | 'gemini'
  | 'groq'
  | 'mistral'
  | 'together'
  | 'doubleword'
  | 'xai'

/** A provider that can be played. */
export interface SurfaceDefinition {
  readonly name: SimulatedProvider
  /** The path its base URL ends in, as its official SDK takes it. */
  readonly prefix: string
  /** Environment variable in which its SDK looks for a base URL and a key; those without one are usually given these. */
  readonly env: { readonly baseUrl: string; readonly key: string }
  open(world: World): ProviderSurface
}

/** One provider's HTTP surface: everything the frame (sockets, faults, ledger, controls) does not know. */
export interface ProviderSurface {
  /** `path` is what follows the prefix. */
  route(method: string, path: string, query: URLSearchParams): Route | undefined
  /** Whom it would bill; a reply when it would not let this caller in. */
  identify(headers: IncomingHttpHeaders, query: URLSearchParams): Account | Reply
  /** Headers that every one of its replies carries. */
  headers(requestId: string): Readonly<Record<string, string>>
  /** An error in its own envelope. */
  refuse(status: number, message: string): Reply
  /** Brings the ledger up to date with the clock. */
  settle(): void
  /** Resolves when it has stopped working in the background. */
  close(): Promise<void>
}

export interface Account extends LedgerAccount {
  /** For messages, as the provider names it. */
  readonly organization: string
}

export interface Route {
  readonly operation: Operation
  handle(exchange: Exchange): Promise<Reply>
}

export interface Exchange {
  readonly account: Account
  readonly query: URLSearchParams
  readonly headers: IncomingHttpHeaders
  /** The request's body, unread. */
  readonly body: AsyncIterable<Buffer>
}

export interface Reply {
  readonly status: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body: ReplyBody
}

export type ReplyBody =
  | { readonly kind: 'text'; readonly text: string; readonly type: string }
  /** Content on disk; `read(end)` stops after so many bytes. */
  | { readonly kind: 'file'; readonly bytes: number; readonly type: string; read(end?: number): Readable }
  /** Server-sent events. */
  | { readonly kind: 'events'; readonly events: readonly string[] }

export function jsonReply(status: number, value: unknown): Reply {
  return { status, body: { kind: 'text', text: JSON.stringify(value), type: 'application/json' } }
}

/** Thrown by a handler to answer at once. */
export class Refusal extends Error {
  override readonly name = 'Refusal'
  readonly reply: Reply
  constructor(reply: Reply) {
    super(`answered with ${reply.status}`)
    this.reply = reply
  }
}

/** The whole body as text; `refuse` ends a call that brings more than `limit` bytes. */
export async function readText(
  body: AsyncIterable<Buffer>,
  limit: number = Infinity,
  refuse?: (limit: number) => never,
): Promise<string> {
  const pieces: Buffer[] = []
  let bytes = 0
  for await (const piece of body) {
    bytes += piece.length
    if (bytes > limit) refuse?.(limit)
    pieces.push(piece)
  }
  return Buffer.concat(pieces).toString('utf8')
}
