import type { Writable } from 'node:stream'

/** Writes, and resolves once there is room for more; with false when whoever read it has left. */
export async function writeWhenReady(stream: Writable, text: string): Promise<boolean> {
  if (stream.destroyed || stream.errored) return false
  if (stream.write(text)) return true
  await new Promise<void>((resolve) => {
    const done = (): void => {
      for (const event of ['drain', 'close', 'error']) stream.off(event, done)
      resolve()
    }
    for (const event of ['drain', 'close', 'error']) stream.on(event, done)
  })
  return !stream.destroyed && !stream.errored
}
