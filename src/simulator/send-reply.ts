import type { ServerResponse } from 'node:http'
import { pipeline } from 'node:stream/promises'
import type { Reply, ReplyBody } from './provider.ts'

/** How the end of an answer goes wrong. */
export type Ending = 'whole' | 'broken' | 'clean'

/** Writes a reply, all of it or (`broken`: hanging up, `clean`: as if that were all) only its first half. */
export async function sendReply(response: ServerResponse, reply: Reply, ending: Ending): Promise<void> {
  response.writeHead(reply.status, { ...reply.headers, ...bodyHeaders(reply.body, ending) })
  if (ending === 'whole') return sendWhole(response, reply.body)
  await sendHalf(response, reply.body)
  if (ending === 'clean') response.end()
  // Only once the half is out: destroying at once would throw away what is still waiting to be sent.
  else response.socket?.destroySoon()
}

function bodyHeaders(body: ReplyBody, ending: Ending): Record<string, string | number> {
  switch (body.kind) {
    case 'events':
      return { 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-cache' }
    case 'text':
    case 'file': {
      const bytes = body.kind === 'file' ? body.bytes : Buffer.byteLength(body.text)
      return { 'content-type': body.type, 'content-length': ending === 'clean' ? half(bytes) : bytes }
    }
  }
}

async function sendWhole(response: ServerResponse, body: ReplyBody): Promise<void> {
  switch (body.kind) {
    case 'text':
      response.end(body.text)
      return
    case 'file':
      await pipeline(body.read(), response)
      return
    case 'events':
      for (const event of body.events) response.write(event)
      response.end()
  }
}

async function sendHalf(response: ServerResponse, body: ReplyBody): Promise<void> {
  switch (body.kind) {
    case 'text': {
      const bytes = Buffer.from(body.text)
      response.write(bytes.subarray(0, half(bytes.length)))
      return
    }
    case 'file':
      if (half(body.bytes) > 0) await pipeline(body.read(half(body.bytes)), response, { end: false })
      return
    case 'events':
      for (const event of body.events.slice(0, half(body.events.length))) response.write(event)
  }
}

/** Half of the answer, so that a cut answer is never a whole one. */
function half(size: number): number {
  return Math.floor(size / 2)
}
