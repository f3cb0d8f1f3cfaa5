/** Work under way that a scope sees through before it is over. A fault in it is ours, and never goes unheard. */
export class Tasks {
  readonly #running = new Set<Promise<void>>()
  readonly #onChange: () => void
  readonly #onFault: (error: unknown) => void

  constructor(onChange: () => void, onFault: (error: unknown) => void) {
    this.#onChange = onChange
    this.#onFault = onFault
  }

  get size(): number {
    return this.#running.size
  }

  track(work: () => Promise<void>): Promise<void> {
    const task = work()
      .catch((error: unknown) => this.#onFault(error))
      .finally(() => {
        this.#running.delete(task)
        this.#onChange()
      })
    this.#running.add(task)
    this.#onChange()
    return task
  }

  /** For timers and turns of the event loop, where nobody else would catch. */
  guard(work: () => void): void {
    try {
      work()
    } catch (error) {
      this.#onFault(error)
    }
  }

  /** Resolves once nothing is under way. */
  async idle(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running)
  }
}
