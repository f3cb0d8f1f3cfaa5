/** Where two plain values first differ, in words. */
export function describeDifference(expected: unknown, actual: unknown): string {
  const { path, from, to } = firstDifference(expected, actual, '') ?? { path: '', from: expected, to: actual }
  return `at "${path}": ${short(to)} instead of ${short(from)}`
}

interface Difference {
  readonly path: string
  readonly from: unknown
  readonly to: unknown
}

function firstDifference(from: unknown, to: unknown, path: string): Difference | undefined {
  if (Object.is(from, to)) return undefined
  if (!isObject(from) || !isObject(to)) return { path, from, to }
  for (const key of new Set([...Object.keys(from), ...Object.keys(to)])) {
    const found = firstDifference(from[key], to[key], path === '' ? key : `${path}.${key}`)
    if (found) return found
  }
  return undefined
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null
}

function short(value: unknown): string {
  return (JSON.stringify(value) ?? String(value)).slice(0, 200)
}
