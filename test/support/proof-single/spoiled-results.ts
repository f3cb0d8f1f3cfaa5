import type { ProviderAdapter } from '../../../src/core/adapter.ts'
import type { JobId } from '../../../src/core/job.ts'
import type { Lots } from './lots.ts'

/** How one download of results ends: all of it arrives, or so many bytes and then the connection breaks or seems complete. */
export type Ending = { readonly kind: 'whole' } | { readonly kind: 'broken' | 'cut'; readonly share: number }

/** The rows of a results file after something was done to them. */
export interface SpoiledRows {
  readonly lines: readonly string[]
  /** Jobs of which no readable row is left. */
  readonly gone: readonly JobId[]
  /** What was done how often. */
  readonly counts: Readonly<Record<keyof typeof NOTHING, number>>
}

/**
 * The adapter's results after `spoil`: the same each time the same file is read, as a provider would keep it. Downloads end as
 * `endings` says, one after the other, and from then on are whole.
 */
export function spoiling(
  results: ProviderAdapter['results'],
  spoil: (lines: readonly string[]) => readonly string[],
  endings: readonly Ending[],
): ProviderAdapter['results'] {
  const files = new Map<string, Uint8Array>()
  const left = [...endings]
  return (handle, call) =>
    results(handle, {
      baseUrl: call.baseUrl,
      async send(request) {
        const response = await call.send(request)
        const known = files.get(request.path)
        if (known) await response.body?.cancel()
        const file = known ?? bytesOf(spoil(linesOf(await response.text())))
        files.set(request.path, file)
        return new Response(bodyOf(file, left.shift() ?? { kind: 'whole' }))
      },
    })
}

function linesOf(text: string): string[] {
  return text.split('\n').filter((line) => line !== '')
}

function bytesOf(lines: readonly string[]): Uint8Array {
  return new TextEncoder().encode(lines.map((line) => `${line}\n`).join(''))
}

const CHUNK = 64 * 1024

function bodyOf(file: Uint8Array, ending: Ending): ReadableStream<Uint8Array> {
  const bytes = ending.kind === 'whole' ? file : file.subarray(0, Math.floor(file.length * ending.share))
  let at = 0
  return new ReadableStream({
    pull(controller) {
      if (at < bytes.length) controller.enqueue(bytes.slice(at, (at += CHUNK)))
      else if (ending.kind === 'broken') controller.error(new TypeError('terminated'))
      else controller.close()
    },
  })
}

/** Rows that belong to nobody, or to jobs of another batch. */
function strangers(customId: string, elsewhere: readonly JobId[]): string[] {
  const [tag = '', job = ''] = customId.split('-')
  const ids = [
    'nobody-sent-this',
    '__proto__',
    '',
    tag,
    `${tag}-`,
    `${tag}-0`,
    `${tag}-1e3`,
    `${tag}--1`,
    `${tag}-${2 ** 52}`,
    `${tag}-${'9'.repeat(16)}`,
    `${tag.toUpperCase()}-${job}`,
    `abcdefabcdef-${job}`,
    ...elsewhere.map((other) => `${tag}-${other}`),
  ]
  return ids.map((id) =>
    JSON.stringify({
      id: 'batch_req_stranger',
      custom_id: id,
      response: { status_code: 200, request_id: 'req_stranger', body: { answer: 'to nobody' } },
      error: null,
    }),
  )
}

const NOT_ROWS: readonly [string, ...string[]] = [
  'null',
  '[]',
  '{}',
  '17',
  '"text"',
  '\0\0\0\0',
  '{"custom_id":7,"response":null,"error":null}',
  '\uFFFD\uFFFD',
  '<html>502</html>',
  '\u2028',
  '}{',
]

const NOTHING = { missing: 0, corrupt: 0, duplicate: 0, unknown: 0, noise: 0, lineSeparators: 0 }

export interface Spoiling {
  /** So many rows are missing or unreadable. */
  readonly goneShare: number
  /** Jobs of another batch, for rows that pretend to be theirs. */
  readonly elsewhere: readonly JobId[]
}

/** Every row changes its place, and many more than that. */
export function spoilRows(lines: readonly string[], lots: Lots, { goneShare, elsewhere }: Spoiling): SpoiledRows {
  const gone: JobId[] = []
  const counts = { ...NOTHING }
  const spoiled: string[] = []
  for (const line of lines) {
    const { customId, job } = idOf(line)
    if (lots.chance(goneShare)) {
      gone.push(job)
      const isMissing = lots.chance(0.5)
      counts[isMissing ? 'missing' : 'corrupt'] += 1
      if (!isMissing) spoiled.push(corrupted(line, lots))
    } else if (lots.chance(0.05)) {
      counts.duplicate += 1
      spoiled.push(line, lots.chance(0.5) ? line : corrupted(line, lots))
    } else if (lots.chance(0.1)) {
      counts.lineSeparators += 1
      spoiled.push(withSeparators(line))
    } else {
      spoiled.push(line)
    }
    if (lots.chance(0.01)) {
      counts.noise += 1
      spoiled.push(lots.pick(NOT_ROWS))
    }
    if (customId === idOf(lines[0] ?? '').customId) {
      const others = strangers(customId, elsewhere)
      counts.unknown = others.length
      spoiled.push(...others)
    }
  }
  return { lines: lots.shuffle(spoiled), gone, counts }
}

function idOf(line: string): { readonly customId: string; readonly job: JobId } {
  const customId = /"custom_id": ?"([^"]*)"/.exec(line)?.[1] ?? ''
  return { customId, job: Number(customId.split('-')[1]) }
}

/** Cut in the middle, cut at its end, doubled, or with a piece missing in its structure. */
function corrupted(line: string, lots: Lots): string {
  const ways = [
    line.slice(0, 1 + lots.below(line.length - 1)),
    line.slice(0, -1),
    line + line,
    line.replace('"response"', 'response'),
    line.replace('"body":', '"bodies":'),
    line.replace('"status_code":200', '"status_code":"two hundred"'),
  ] as const
  return lots.pick(ways)
}

export const SEPARATORS = 'a\u2028b\u2029c\u0085d'

/** The characters some line splitters break at, raw inside a string of the answer. */
function withSeparators(line: string): string {
  return line.replace('"finish_reason":', `"note":"${SEPARATORS}","finish_reason":`)
}
