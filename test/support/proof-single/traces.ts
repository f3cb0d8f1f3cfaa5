import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'

/** Any run of so many characters of a secret is found, whatever is around it. */
const PIECE = 8

/** What of a secret could be left: pieces of it as they are, as UTF-16, in hex and in base64. */
function needlesOf(secret: string): readonly Buffer[] {
  const pieces = Array.from({ length: Math.floor(secret.length / PIECE) }, (_, n) =>
    secret.slice(n * PIECE, (n + 1) * PIECE),
  )
  // In base64 a text looks different depending on where in a group of three bytes it begins; its ends depend on the neighbours.
  const base64 = [0, 1, 2].map((offset) =>
    Buffer.from(' '.repeat(offset) + secret)
      .toString('base64')
      .slice(4, 44),
  )
  const texts = [...pieces, ...pieces.map((piece) => Buffer.from(piece).toString('hex')), ...base64]
  return [...texts.map((text) => Buffer.from(text)), ...pieces.map((piece) => Buffer.from(piece, 'utf16le'))]
}

/** A search for what must not be there, and for what must. */
export interface Traces {
  look(place: string, content: Buffer | string): void
  /** Every place in which it was found. */
  places(of: string): readonly string[]
}

export function tracesOf(secrets: readonly string[]): Traces {
  const needles = secrets.map((secret) => [secret, needlesOf(secret)] as const)
  const found = new Map<string, Set<string>>(secrets.map((secret) => [secret, new Set()]))
  return {
    look(place, content) {
      const bytes = Buffer.from(content)
      for (const [secret, all] of needles) {
        if (all.some((needle) => bytes.includes(needle))) found.get(secret)?.add(place)
      }
    },
    places: (of) => [...(found.get(of) ?? [])],
  }
}

/** Looks at every file below a folder. */
export function lookAtFiles(folder: string, traces: Traces, isNew: (path: string) => boolean = () => true): void {
  for (const path of filesBelow(folder)) {
    try {
      if (isNew(path)) traces.look(path.slice(folder.length), readFileSync(path))
    } catch {
      // Gone between being listed and being read.
    }
  }
}

/** Does so again and again, as they change, until told to stop. */
export async function watchFiles(folder: string, traces: Traces, signal: AbortSignal): Promise<void> {
  const seen = new Map<string, string>()
  const isNew = (path: string): boolean => {
    const { mtimeMs, size } = statSync(path)
    const version = `${mtimeMs} ${size}`
    if (seen.get(path) === version) return false
    seen.set(path, version)
    return true
  }
  while (!signal.aborted) {
    lookAtFiles(folder, traces, isNew)
    await delay(1)
  }
  lookAtFiles(folder, traces)
}

function filesBelow(folder: string): readonly string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => join(parentPath, name))
}
