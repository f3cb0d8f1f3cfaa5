import { fetch as undiciFetch, request as undiciRequest } from 'undici'
import { type Ask, type Connection, eitherSignal, present, ReplyError, type Way } from './clients.ts'

/** Endpoint and body of one question. */
interface Question {
  readonly path: string
  body(prompt: string): object
}

const chat: Question = {
  path: '/chat/completions',
  body: (prompt) => ({ model: 'gpt-4o-mini', messages: [{ role: 'user', content: prompt }] }),
}
const responses: Question = { path: '/responses', body: (input) => ({ model: 'gpt-4o-mini', input }) }
const embeddings: Question = {
  path: '/embeddings',
  body: (input) => ({ model: 'text-embedding-3-small', input, dimensions: 16 }),
}
const embeddingsInBase64: Question = {
  path: '/embeddings',
  body: (input) => ({ ...embeddings.body(input), encoding_format: 'base64' }),
}
const completions: Question = { path: '/completions', body: (prompt) => ({ model: 'gpt-3.5-turbo-instruct', prompt }) }
const moderations: Question = { path: '/moderations', body: (input) => ({ model: 'omni-moderation-latest', input }) }

interface Call {
  readonly url: string
  readonly headers: Record<string, string>
  readonly body: string
  readonly signal: AbortSignal | undefined
}

type Send = (call: Call) => Promise<{ status: number; text: string }>

function asking(question: Question, sendWith: (connection: Connection) => Send): (connection: Connection) => Ask {
  return (connection) => {
    const send = sendWith(connection)
    return async (prompt, { signal } = {}) => {
      const { status, text } = await send({
        ...headOf(connection, question),
        body: JSON.stringify(question.body(prompt)),
        signal: eitherSignal(signal, connection.timeoutMs),
      })
      const json: unknown = JSON.parse(text)
      if (status >= 400) throw new ReplyError(status, json)
      return json
    }
  }
}

function headOf({ baseUrl, apiKey }: Connection, { path }: Question): { url: string; headers: Record<string, string> } {
  const headers = { authorization: `Bearer ${apiKey}`, 'content-type': 'application/json' }
  return { url: baseUrl + path, headers }
}

/** Looks the global fetch up with each call, as plain code does. */
function fetchOf({ fetch }: Connection): typeof globalThis.fetch {
  return fetch ?? ((input, init) => globalThis.fetch(input, init))
}

function sending(toArguments: (url: string, init: RequestInit) => Parameters<typeof fetch>) {
  return (connection: Connection): Send =>
    async ({ url, ...init }) => {
      const response = await fetchOf(connection)(...toArguments(url, { method: 'POST', ...present(init) }))
      return { status: response.status, text: await response.text() }
    }
}

const withString = sending((url, init) => [url, init])
const withUrl = sending((url, init) => [new URL(url), init])
const withRequest = sending((url, init) => [new Request(url, init)])
const withRequestAndInit = sending((url, { signal, ...init }) => [new Request(url, init), present({ signal })])

function connectStream(question: Question): NonNullable<Way['connectStream']> {
  return (connection) => async (prompt) => {
    const { url, headers } = headOf(connection, question)
    const body = JSON.stringify({ ...question.body(prompt), stream: true })
    const response = await fetchOf(connection)(url, { method: 'POST', headers, body })
    const type = response.headers.get('content-type')
    if (!type?.startsWith('text/event-stream')) throw new Error(`not a stream: ${type}`)
    return response.text()
  }
}

const limits = { abortable: true, limitable: true } as const

/** The global fetch, in every form its arguments can take. */
export const fetchWays: readonly Way[] = [
  { name: 'fetch(string): chat', connect: asking(chat, withString), connectStream: connectStream(chat), ...limits },
  { name: 'fetch(URL): chat', connect: asking(chat, withUrl), ...limits },
  { name: 'fetch(Request): chat', connect: asking(chat, withRequest), ...limits },
  { name: 'fetch(Request, init): chat', connect: asking(chat, withRequestAndInit), ...limits },
  {
    name: 'fetch: responses',
    connect: asking(responses, withString),
    connectStream: connectStream(responses),
    ...limits,
  },
  { name: 'fetch: embeddings', connect: asking(embeddings, withString), ...limits },
  { name: 'fetch: embeddings in base64', connect: asking(embeddingsInBase64, withString), ...limits },
  { name: 'fetch: completions', connect: asking(completions, withString), ...limits },
  { name: 'fetch: moderations', connect: asking(moderations, withString), ...limits },
]

const withUndiciRequest = (): Send => async (call) => {
  const { url, ...options } = call
  const { statusCode, body } = await undiciRequest(url, { method: 'POST', ...present(options) })
  return { status: statusCode, text: await body.text() }
}

const withUndiciFetch = (): Send => async (call) => {
  const { url, ...options } = call
  const response = await undiciFetch(url, { method: 'POST', ...present(options) })
  return { status: response.status, text: await response.text() }
}

/** The undici of npm, which knows nothing of the global fetch. */
export const undiciWays: readonly Way[] = [
  { name: 'undici.request: chat', connect: asking(chat, withUndiciRequest), ...limits },
  { name: 'undici.request: embeddings', connect: asking(embeddings, withUndiciRequest), ...limits },
  { name: 'undici.fetch: chat', connect: asking(chat, withUndiciFetch), abortable: true, limitable: false },
]
