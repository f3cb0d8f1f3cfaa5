import type { IncomingHttpHeaders } from 'node:http'

/** What the official SDK takes as its base URL is this path of the simulator. */
export const PREFIX = '/gemini'

/** Absolute addresses in replies lead back to where the caller came from. */
export function addressOf(headers: IncomingHttpHeaders): string {
  return `http://${headers.host ?? 'localhost'}${PREFIX}`
}
