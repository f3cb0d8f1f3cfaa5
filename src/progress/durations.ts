/** How long ended batches of a provider and model took, in milliseconds, in any order. */
export type History = (provider: string, model: string) => readonly number[]

/** Durations by provider and model: those of earlier runs, asked for once, and those of this one as its batches end. */
export interface Durations {
  /** In ascending order. */
  of(provider: string, model: string): readonly number[]
  add(provider: string, model: string, durationMs: number): void
}

export const NO_HISTORY: History = () => []

export function createDurations(history: History): Durations {
  const known = new Map<string, number[]>()

  function listOf(provider: string, model: string): number[] {
    const key = `${provider}\0${model}`
    let list = known.get(key)
    if (!list) {
      list = earlier(provider, model)
      known.set(key, list)
    }
    return list
  }

  function earlier(provider: string, model: string): number[] {
    try {
      return [...history(provider, model)].sort((one, other) => one - other)
    } catch {
      // A guess at the time left is nothing that a run may fail for; it does without.
      return []
    }
  }

  return {
    of: listOf,
    add(provider, model, durationMs) {
      const list = listOf(provider, model)
      const at = list.findIndex((each) => each > durationMs)
      list.splice(at === -1 ? list.length : at, 0, durationMs)
    },
  }
}
