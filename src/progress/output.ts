/** As much of a `NodeJS.WriteStream` as a display needs. */
export interface OutputStream {
  write(text: string, done?: (error?: Error | null) => void): boolean
  readonly isTTY?: boolean | undefined
  readonly columns?: number | undefined
  readonly rows?: number | undefined
  on?(event: 'error' | 'resize', listener: (error: Error) => void): unknown
  off?(event: 'error' | 'resize', listener: (error: Error) => void): unknown
}

/** Writes as long as somebody reads, and never throws. */
export interface Output {
  readonly alive: boolean
  write(text: string): void
  close(): void
}

/** Everybody who writes to one stream, behind one error listener: many scopes must not look like a leak of listeners. */
interface Watch {
  readonly users: Set<() => void>
  readonly onError: () => void
}

const watches = new WeakMap<OutputStream, Watch>()

function watch(stream: OutputStream, onFailure: () => void): () => void {
  let found = watches.get(stream)
  if (!found) {
    const users = new Set<() => void>()
    found = { users, onError: () => users.forEach((fail) => fail()) }
    watches.set(stream, found)
  }
  const { users, onError } = found
  if (users.size === 0) stream.on?.('error', onError)
  users.add(onFailure)
  return () => {
    if (users.delete(onFailure) && users.size === 0) stream.off?.('error', onError)
  }
}

/**
 * A closed stderr (`2>&1 | head`) must not end the program: the first failed write ends the output instead. The error listener
 * stays until our last write is through, because a stream reports the failure after the write returned.
 */
export function createOutput(stream: OutputStream, write: OutputStream['write'] = stream.write.bind(stream)): Output {
  let alive = true
  let closed = false
  let inFlight = 0
  const unwatch = watch(stream, fail)

  function fail(): void {
    alive = false
  }
  function letGo(): void {
    // After a failure the listener stays: the stream may be about to report it.
    if (closed && alive && inFlight === 0) unwatch()
  }

  return {
    get alive() {
      return alive
    },
    write(text) {
      if (!alive || closed) return
      inFlight += 1
      try {
        write(text, (error) => {
          inFlight -= 1
          if (error) fail()
          letGo()
        })
      } catch {
        // A destroyed stream may throw at once; there is nobody left to tell.
        fail()
      }
    },
    close() {
      closed = true
      letGo()
    },
  }
}
