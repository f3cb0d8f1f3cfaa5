import type { Json, JsonObject } from '../core/request.ts'

/** One kind of request a provider executes, live or as a batch row. */
export interface Endpoint {
  /** As a batch names it: `/v1/chat/completions`. Part of what a digest stands for. */
  readonly path: string
  /** Used when the body names none; undefined: the body must. */
  readonly defaultModel: string | undefined
  /** What is wrong with this body, beside its model. */
  check(body: JsonObject): RowError | undefined
  /** The part of the body a person would call the prompt. */
  prompt(body: JsonObject): string
  answer(body: JsonObject, context: AnswerContext): Answer
  /** The same answer as server-sent events; undefined: this endpoint cannot stream. */
  events: ((answer: Answer, body: JsonObject) => readonly string[]) | undefined
}

/** Why a request was not answered: the HTTP status and the provider's own error envelope. */
export interface RowError {
  readonly status: number
  readonly body: Answer
}

export interface AnswerContext {
  /** 16 hexadecimal digits that stand for this very request. */
  readonly digest: string
  readonly model: string
  /** Seconds since the epoch. */
  readonly createdAt: number
  /** The request asked for a call of its first tool. */
  readonly wantsTool: boolean
}

export type Answer = Record<string, unknown>

/** The model a body names, or the endpoint's own choice. */
export function modelOf(endpoint: Endpoint, body: JsonObject): string | undefined {
  const model = body['model'] ?? endpoint.defaultModel
  return typeof model === 'string' && model !== '' ? model : undefined
}

const ECHO_LENGTH = 2000

/** What an answer says: its request's digest, and an echo of the prompt. */
export function answerText(digest: string, prompt: string): string {
  return `Answer ${digest}: ${prompt.slice(0, ECHO_LENGTH)}`
}

/** About four characters a token, as the usual rule of thumb has it. */
export function tokensOf(text: string): number {
  return Math.max(1, Math.ceil(text.length / 4))
}

/** The text in a message's content: a string, or parts of which some have text. */
export function contentText(content: Json | undefined): string {
  if (typeof content === 'string') return content
  if (!Array.isArray(content)) return ''
  return content
    .map((part: Json) => {
      if (typeof part === 'string') return part
      const text = part !== null && typeof part === 'object' && 'text' in part ? part.text : ''
      return typeof text === 'string' ? text : ''
    })
    .join('')
}

export function event(data: unknown, name?: string): string {
  return `${name === undefined ? '' : `event: ${name}\n`}data: ${JSON.stringify(data)}\n\n`
}

export const DONE_EVENT = 'data: [DONE]\n\n'

/** A text in a few pieces, as it would arrive. */
export function pieces(text: string): readonly string[] {
  const size = Math.max(1, Math.ceil(text.length / 4))
  return Array.from({ length: Math.ceil(text.length / size) }, (_, index) =>
    text.slice(index * size, (index + 1) * size),
  )
}
