import type { Found } from '../../core/adapter.ts'
import type { BatchState, Intent } from '../../core/batch.ts'

/** How far a provider's clock may be off ours, when a look-up decides where to stop. */
export const CLOCK_SKEW_MS: number = 10 * 60_000

/** A page of a list, and where the next one begins; undefined: it was the last. */
export interface Page<Item> {
  readonly items: readonly Item[]
  readonly next: string | undefined
}

/** So many empty pages in a row end a list that says it goes on: fewer may be of what is not ours to see. */
const MOST_EMPTY_PAGES = 10

/** Turns the pages of a list, from the first on. */
export async function* turnPages<Item>(
  read: (cursor: string | undefined) => Promise<Page<Item>>,
): AsyncGenerator<readonly Item[]> {
  let cursor: string | undefined
  let emptyPages = 0
  do {
    const { items, next } = await read(cursor)
    emptyPages = items.length > 0 ? 0 : emptyPages + 1
    if (items.length > 0) yield items
    // A gateway that takes no notice of the cursor would give the same page for ever.
    cursor = next !== cursor && emptyPages < MOST_EMPTY_PAGES ? next : undefined
  } while (cursor !== undefined)
}

/** The same pages, each item made into something else. */
export async function* mapPages<Item, Made>(
  pages: AsyncIterable<readonly Item[]>,
  make: (item: Item) => Made,
): AsyncGenerator<readonly Made[]> {
  for await (const items of pages) yield items.map((item) => make(item))
}

/** A batch in a list, as far as a look-up cares. */
export interface Listed {
  readonly isOurs: boolean
  readonly state: BatchState
  /** Milliseconds since the epoch; infinity when it cannot be read: such a batch never ends a look-up early. */
  readonly createdMs: number
}

/**
 * Looks through a list, the newest first, until it is older than the intent. No provider promises that order, and a batch that is
 * overlooked is paid for twice: only a list that has descended from its first item on, every step of the way, is left before its end.
 */
export async function findListed(pages: AsyncIterable<readonly Listed[]>, intent: Intent): Promise<Found> {
  const oldest = intent.createdAt - CLOCK_SKEW_MS
  const states: BatchState[] = []
  let firstMs: number | undefined
  let lastMs = Number.POSITIVE_INFINITY
  let isInOrder = true
  for await (const listed of pages) {
    states.push(...listed.filter(({ isOurs }) => isOurs).map(({ state }) => state))
    firstMs ??= listed[0]?.createdMs
    for (const { createdMs } of listed) {
      isInOrder &&= createdMs <= lastMs
      lastMs = createdMs
    }
    const descends = isInOrder && firstMs !== undefined && lastMs < firstMs
    if (descends && listed.every(({ createdMs }) => createdMs < oldest)) break
  }
  return foundOf(states)
}

/** The most advanced first: of twins it is the one to keep. */
export function foundOf(states: readonly BatchState[]): Found {
  if (states.length === 0) return { kind: 'none' }
  // A list that moves while its pages are turned shows a batch twice, which makes no twin of it.
  const distinct = [...new Map(states.map((state) => [state.handle.id, state])).values()]
  return { kind: 'adopted', states: distinct.sort((a, b) => advancement(b) - advancement(a)) }
}

const OUTCOMES = { failed: 0, cancelled: 1, expired: 3, completed: 5 } as const
const CANCELLING = 2
const RUNNING = 4
/** Words for the steps of a batch that runs, in any provider's spelling. */
const STEPS = ['queued', 'validating', 'running', 'in_progress', 'finalizing']

function advancement(state: BatchState): number {
  if (state.phase === 'ended') return OUTCOMES[state.outcome]
  const word = state.status.toLowerCase()
  return word.startsWith('cancel') ? CANCELLING : RUNNING + STEPS.indexOf(word) / STEPS.length
}

/** Seconds since the epoch, or a date as text, in milliseconds; infinity when it is neither. */
export function toMs(at: number | string | null | undefined): number {
  if (typeof at === 'number') return at * 1000
  const parsed = typeof at === 'string' ? Date.parse(at) : Number.NaN
  return Number.isNaN(parsed) ? Number.POSITIVE_INFINITY : parsed
}
