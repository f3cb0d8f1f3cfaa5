import { type Connection, eitherSignal, present, ReplyError } from '../../clients.ts'

/** A program without an SDK: looks the global fetch up with each call, posts JSON, and reads JSON. */
export function poster({ baseUrl, timeoutMs }: Connection, headers: Readonly<Record<string, string>>) {
  return async (path: string, body: object, signal?: AbortSignal): Promise<unknown> => {
    const response = await fetch(baseUrl + path, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: JSON.stringify(body),
      ...present({ signal: eitherSignal(signal, timeoutMs) }),
    })
    const json: unknown = await response.json()
    if (!response.ok) throw new ReplyError(response.status, json)
    return json
  }
}
