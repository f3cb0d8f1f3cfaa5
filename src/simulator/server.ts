import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import type { CallFault } from './faults.ts'
import { Refusal, type Account, type ProviderSurface, type Reply, type Route, type World } from './provider.ts'
import { sendReply, type Ending } from './send-reply.ts'

export interface ServerSettings {
  readonly port: number
  readonly host: string
  /** Latency of realtime answers. */
  readonly liveMs: number
  /** Virtual time that passes with every look at a batch; 0: none. */
  readonly perPollMs: number
}

/** A control of the simulator itself; undefined when the path is none. */
export type Controls = (request: IncomingMessage, url: URL) => Promise<Reply> | undefined

/** A surface and the path it is found at. */
export interface MountedSurface {
  readonly prefix: string
  readonly surface: ProviderSurface
}

export interface RunningServer {
  readonly url: string
  close(): Promise<void>
}

/** Listens, and carries each call through the faults in force to its provider's surface and back. */
export async function startServer(
  world: World,
  surfaces: readonly MountedSurface[],
  controls: Controls,
  settings: ServerSettings,
): Promise<RunningServer> {
  // One provider's prefix may be the beginning of another's: the longest that fits is meant.
  const mounted = surfaces.toSorted((one, other) => other.prefix.length - one.prefix.length)
  const closing = new AbortController()
  const running = new Set<Promise<void>>()
  let requests = 0

  const server = createServer((request, response) => {
    const answering = answer(request, response).catch((error: unknown) => {
      // The caller went away in the middle, or the simulator is closing: there is nobody left to tell.
      if (response.destroyed || request.destroyed || closing.signal.aborted) return
      response.destroy(error instanceof Error ? error : undefined)
    })
    running.add(answering)
    void answering.then(() => running.delete(answering))
  })
  // Uploads may be large and slow, and a client's pool decides for itself when it lets a connection go.
  server.requestTimeout = 0
  server.keepAliveTimeout = 0

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://simulator')
    const control = controls(request, url)
    if (control) return sendReply(response, await control, 'whole')

    const found = mounted.find(({ prefix }) => url.pathname.startsWith(`${prefix}/`))
    if (!found) {
      const text = JSON.stringify({ error: { message: `The simulator plays nothing at ${url.pathname}` } })
      return sendReply(response, { status: 404, body: { kind: 'text', text, type: 'application/json' } }, 'whole')
    }
    await play(found, url, request, response)
  }

  async function play(
    { surface, prefix }: MountedSurface,
    url: URL,
    request: IncomingMessage,
    response: ServerResponse,
  ): Promise<void> {
    const method = request.method ?? 'GET'
    const requestId = `req_${(++requests).toString(16).padStart(8, '0')}`
    const route = surface.route(method, url.pathname.slice(prefix.length), url.searchParams)
    const operation = route?.operation ?? 'other'
    const account = surface.identify(request.headers, url.searchParams)
    const known = 'body' in account ? undefined : account
    world.ledger.called(operation, known)
    const faults = world.faults.takeForCall({ operation, method, path: url.pathname })

    await pause(faults, 'before')
    const early = faults.find(isEarly)
    if (early && statusOf(early) === undefined) return hangUp(request)
    const reply = early
      ? replyOfFault(early, surface)
      : await execute(surface, route, account, { url, request, method })
    await pause(faults, 'after')

    const late = faults.find((fault) => fault.kind !== 'slow' && !isEarly(fault))
    if (late?.kind === 'reset') return hangUp(request)
    const spoiled = late ? spoil(late, reply, surface) : reply
    const headers = { ...surface.headers(requestId), ...spoiled.headers }
    await sendReply(response, { ...spoiled, headers }, endingOf(late))
  }

  async function execute(
    surface: ProviderSurface,
    route: Route | undefined,
    account: Account | Reply,
    call: { readonly url: URL; readonly request: IncomingMessage; readonly method: string },
  ): Promise<Reply> {
    const { url, request, method } = call
    if ('body' in account) return account
    if (!route) return surface.refuse(404, `Invalid URL (${method} ${url.pathname})`)
    if (settings.perPollMs > 0 && (route.operation === 'poll' || route.operation === 'list')) {
      world.clock.advance(settings.perPollMs)
    }
    if (route.operation === 'live' && settings.liveMs > 0) await wait(settings.liveMs)
    // A refusal may come before the body has been read: the connection must live on, and be free for the next call.
    const body = request.iterator({ destroyOnReturn: false })
    try {
      return await route.handle({ account, query: url.searchParams, headers: request.headers, body })
    } catch (error) {
      if (error instanceof Refusal) return error.reply
      if (request.destroyed || closing.signal.aborted) throw error
      return surface.refuse(500, `The simulator itself failed: ${String(error)}`)
    } finally {
      request.resume()
    }
  }

  async function pause(faults: readonly CallFault[], moment: 'before' | 'after'): Promise<void> {
    for (const fault of faults) {
      if (fault.kind === 'slow' && (fault.moment ?? 'before') === moment) await wait(fault.ms)
    }
  }

  const wait = (ms: number): Promise<void> => delay(ms, undefined, { signal: closing.signal })

  await listen(server, settings)
  // A TCP server's address is never a string (that would be a pipe).
  const { port, family, address } = server.address() as AddressInfo
  const host = family === 'IPv6' ? `[${address}]` : address
  return {
    url: `http://${host}:${port}`,
    async close() {
      closing.abort()
      const closed = new Promise<void>((resolve) => {
        server.close(() => resolve())
      })
      server.closeAllConnections()
      await closed
      await Promise.all(running)
    },
  }
}

function listen(server: Server, { port, host }: ServerSettings): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, host, () => {
      server.off('error', reject)
      resolve()
    })
  })
}

/** A reset connection, as when the provider's machine goes away. */
function hangUp(request: IncomingMessage): void {
  request.socket.resetAndDestroy()
}

/** Whether a fault keeps the call from having its effect. */
function isEarly(fault: CallFault): boolean {
  switch (fault.kind) {
    case 'down':
      return true
    case 'reset':
      return fault.moment === 'before'
    case 'status':
      return (fault.moment ?? 'before') === 'before'
    case 'slow':
    case 'cut':
    case 'invalid-json':
      return false
  }
}

/** The status a fault answers with; undefined: it does not answer. */
function statusOf(fault: CallFault): number | undefined {
  return fault.kind === 'status' || fault.kind === 'down' ? fault.status : undefined
}

function replyOfFault(fault: CallFault, surface: ProviderSurface): Reply {
  const status = statusOf(fault) ?? 500
  const reply = surface.refuse(status, `The simulator was asked to answer with ${status}`)
  if (fault.kind !== 'status') return reply
  const headers = {
    ...reply.headers,
    ...(fault.retryAfter === undefined ? {} : { 'retry-after': String(fault.retryAfter) }),
    ...fault.headers,
  }
  const body = fault.body === undefined ? reply.body : textBody(fault.body)
  return { ...reply, headers, body }
}

function spoil(fault: CallFault, reply: Reply, surface: ProviderSurface): Reply {
  if (fault.kind === 'status') return replyOfFault(fault, surface)
  if (fault.kind !== 'invalid-json') return reply
  return { status: 200, body: textBody('<html><body>upstream said something else</body></html>') }
}

function textBody(text: string): Reply['body'] {
  return { kind: 'text', text, type: 'application/json' }
}

function endingOf(fault: CallFault | undefined): Ending {
  return fault?.kind === 'cut' ? fault.ending : 'whole'
}
