/** What a scope does when the user presses Ctrl-C, or the process is asked to end. */
export interface Leaver {
  /** Callers still waiting. */
  pending(): number
  /** Stops taking work, submits nothing new, saves. Resolves when the process may go; says how to resume. */
  leave(): Promise<void>
}

const EXIT_CODES = { SIGINT: 130, SIGTERM: 143 } as const
type Signal = keyof typeof EXIT_CODES

/** A group that is told to end (`timeout`, a service manager) tells a process twice: by itself, and by a parent who hands it on. */
const SAME_MS = 100

const leavers = new Set<Leaver>()
let leavingSince: number | undefined

/**
 * From now until the undo is called, the first SIGINT or SIGTERM saves the scope's work before the process ends with 130 or 143;
 * another ends it at once. A program with a listener of its own decides for itself: nothing stored depends on an orderly end.
 */
export function onLeaving(leaver: Leaver): () => void {
  if (leavers.size === 0) for (const signal of signals()) process.on(signal, onSignal)
  leavers.add(leaver)
  return () => {
    leavers.delete(leaver)
    if (leavers.size === 0 && leavingSince === undefined)
      for (const signal of signals()) process.removeListener(signal, onSignal)
  }
}

function signals(): readonly Signal[] {
  return ['SIGINT', 'SIGTERM']
}

function onSignal(signal: Signal): void {
  // Ours counts as one.
  if (process.listenerCount(signal) > 1) return
  const now = performance.now()
  if (leavingSince !== undefined) {
    if (now - leavingSince > SAME_MS) process.exit(EXIT_CODES[signal])
    return
  }
  leavingSince = now
  const all = [...leavers].filter((leaver) => leaver.pending() > 0)
  void Promise.allSettled(all.map((leaver) => leaver.leave())).then(() => process.exit(EXIT_CODES[signal]))
}
