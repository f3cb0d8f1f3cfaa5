/** Time as an argument, so that a day passes in a millisecond in tests. */
export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number
  /**
   * Calls `fire` once after `ms`; returns the undo. `hold: true` keeps the process alive until then.
   */
  after(ms: number, fire: () => void, options?: { readonly hold?: boolean }): () => void
  /** Calls `fire` once the code now running, and whatever it started without waiting for the outside, is through. */
  soon(fire: () => void): void
}

/** Resolves after `ms`, or as soon as `signal` aborts (it never rejects: the caller looks at the signal). */
export function sleep(clock: Clock, ms: number, options: { signal?: AbortSignal; hold?: boolean } = {}): Promise<void> {
  const { signal, hold = false } = options
  if (signal?.aborted) return Promise.resolve()
  return new Promise((resolve) => {
    const undo = clock.after(ms, done, { hold })
    function done(): void {
      undo()
      signal?.removeEventListener('abort', done)
      resolve()
    }
    signal?.addEventListener('abort', done, { once: true })
  })
}
