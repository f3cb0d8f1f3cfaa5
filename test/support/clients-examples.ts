import { registerHooks } from 'node:module'

/**
 * Preloaded into examples, which import the package by its name: gives them its sources instead of what was last built, with
 * times that suit a test.
 */
const SOURCES: Readonly<Record<string, string>> = {
  offpeak: './clients-examples-offpeak.ts',
  'offpeak/simulator': '../../src/simulator/index.ts',
}

registerHooks({
  resolve(specifier, context, nextResolve) {
    const source = SOURCES[specifier]
    return nextResolve(source === undefined ? specifier : new URL(source, import.meta.url).href, context)
  },
})
