import { pathToFileURL } from 'node:url'

/*
 * What `offpeak run file:function arguments…` runs in the program's place, as `call-function file function arguments…`.
 */

const [node = '', , file = '', name = '', ...given] = process.argv
const USAGE = 2

// The program sees itself where it expects to be.
process.argv = [node, file, ...given]
process.exitCode = await call(file, name, given)

async function call(file: string, name: string, given: readonly string[]): Promise<number | undefined> {
  const exported = exportsOf(await import(pathToFileURL(file).href))
  const found = exported.get(name)
  if (!found) {
    const names = [...exported.keys()]
    const known = names.length === 0 ? 'it exports no functions' : `its functions are ${names.join(', ')}`
    return complain(`${file} exports no function "${name}"; ${known}`)
  }
  const result: unknown = found(...argumentsOf(given))
  if (!isPromise(result)) {
    return complain(`"${name}" of ${file} is not async: it returned before any answer could come; declare it async`)
  }
  await result
  // What the function has put there, if anything.
  return undefined
}

/** Its exported functions by name. What a CommonJS file exports may be visible as its default alone. */
function exportsOf(module: object): ReadonlyMap<string, (...args: unknown[]) => unknown> {
  const inner: unknown = Reflect.get(module, 'default')
  const all = [...(typeof inner === 'object' && inner !== null ? Object.entries(inner) : []), ...Object.entries(module)]
  return new Map(all.filter((pair): pair is [string, (...args: unknown[]) => unknown] => typeof pair[1] === 'function'))
}

/** Words as they are, and `--key=value` in one object behind them. `--key` alone is true. */
function argumentsOf(given: readonly string[]): readonly unknown[] {
  const end = given.indexOf('--')
  const own = end === -1 ? given : given.slice(0, end)
  const words = [...own.filter((word) => !word.startsWith('--')), ...(end === -1 ? [] : given.slice(end + 1))]
  const named = own.filter((word) => word.startsWith('--')).map(pairOf)
  return named.length === 0 ? words : [...words, Object.fromEntries(named)]
}

function pairOf(word: string): readonly [string, string | true] {
  const cut = word.indexOf('=')
  return cut === -1 ? [word.slice(2), true] : [word.slice(2, cut), word.slice(cut + 1)]
}

function isPromise(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function'
}

function complain(message: string): number {
  process.stderr.write(`offpeak: ${message}\n`)
  return USAGE
}
