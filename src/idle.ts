const listeners = new Set<() => void>()

function tellAll(): void {
  for (const listener of listeners) listener()
}

/** From now until the undo is called, hears whenever the process has nothing left to do: one listener of Node's for any number of scopes. */
export function onIdle(listener: () => void): () => void {
  if (listeners.size === 0) process.on('beforeExit', tellAll)
  listeners.add(listener)
  return () => {
    listeners.delete(listener)
    if (listeners.size === 0) process.off('beforeExit', tellAll)
  }
}
