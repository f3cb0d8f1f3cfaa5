import { fetchShim } from './fetch-shim.ts'
import { registry } from './registry.ts'

/**
 * Puts the shim in front of `globalThis.fetch`, where it does nothing until a scope opens. Called at import, so that clients
 * built later hold it, and again at each opening, in case somebody has taken its place. It is never taken away: others may
 * have wrapped it.
 */
export function install(): void {
  const below = globalThis.fetch
  if (registry.shims.has(below)) return
  const shim = fetchShim(below)
  copyProperties(below, shim)
  registry.shims.add(shim)
  registry.below = below
  globalThis.fetch = shim
}

/** Frameworks leave marks on the fetch they patch, and look for them. */
function copyProperties(from: object, to: object): void {
  for (const [key, property] of Object.entries(Object.getOwnPropertyDescriptors(from))) {
    if (key === 'prototype' || Object.getOwnPropertyDescriptor(to, key)?.configurable === false) continue
    Object.defineProperty(to, key, property)
  }
}
