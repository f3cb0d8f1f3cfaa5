import type { ZodType } from 'zod'
import type { Call } from '../../core/adapter.ts'
import { NetworkError } from '../../core/errors.ts'

/** A reply's JSON, or a NetworkError: a 2xx that cannot be read leaves open what happened. */
export async function readReply<T>(response: Response, schema: ZodType<T>): Promise<T> {
  return (await readReplyText(response, schema)).data
}

/** The same, with its text. */
export async function readReplyText<T>(
  response: Response,
  schema: ZodType<T>,
): Promise<{ readonly data: T; readonly text: string }> {
  let text: string
  let json: unknown
  try {
    text = await response.text()
    json = JSON.parse(text)
  } catch (cause) {
    throw new NetworkError(`the reply (HTTP ${response.status}) is not whole JSON`, { cause })
  }
  const parsed = schema.safeParse(json)
  if (!parsed.success) {
    throw new NetworkError(
      `the reply (HTTP ${response.status}) lacks ${parsed.error.issues.map(({ path }) => path.join('.')).join(', ')}`,
    )
  }
  return { data: parsed.data, text }
}

/** Reads a body to its end and forgets it, so that its connection is free again. One that breaks off is a NetworkError. */
export async function discard(response: Response): Promise<void> {
  try {
    await response.text()
  } catch (cause) {
    throw new NetworkError(`the reply (HTTP ${response.status}) broke off`, { cause })
  }
}

/** Posts JSON text. */
export async function postJson(path: string, body: string, call: Call): Promise<Response> {
  return await call.send({ method: 'POST', path, headers: { 'content-type': 'application/json' }, body })
}
