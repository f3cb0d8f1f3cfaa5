/**
 * Owners may share one store object, and what one of them does is no news to the connection they share. This counts the changes that
 * another owner could be waiting for, and none as long as there is only one.
 */
export interface Presence {
  entered(owner: number): void
  left(owner: number): void
  /** Something others may wait for has changed. Gives back what it was given, if that is a list of what changed. */
  changed<T extends { readonly length: number }>(what: T): T
  changes(): number
}

export function presence(): Presence {
  const owners = new Set<number>()
  let changes = 0
  return {
    entered: (owner) => void owners.add(owner),
    left(owner) {
      if (owners.delete(owner) && owners.size > 0) changes += 1
    },
    changed(what) {
      if (what.length > 0 && owners.size > 1) changes += 1
      return what
    },
    changes: () => changes,
  }
}
