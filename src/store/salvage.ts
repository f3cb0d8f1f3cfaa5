import type { PageFile } from './page-file.ts'
import { type Cell, readTreePage, type TreePage } from './records.ts'
import { type Row, rowOf, SCHEMA_SHAPE, type Shape } from './shapes.ts'

/** A row found in a damaged file. */
export interface Found {
  readonly shape: Shape
  readonly row: Row
  /**
   * `tree`: reached from its table, hence current. `loose`: on a page nothing leads to any more; current as well, unless `mayBeStale`.
   */
  readonly from: 'tree' | 'loose'
}

/** What could not be read. */
export interface Losses {
  /** Pages that should have held rows, and do not. */
  pages: number
  /** Rows that broke off or made no sense, on pages that could be read. */
  rows: number
  /** It is not known which pages are in use: what is loose may be an old version of a row, or one that was deleted. */
  mayBeStale: boolean
}

/**
 * Reads every row that is left: first along the trees, as SQLite would, then from the pages that the damage has cut off from them.
 * Those are told apart by the form of their rows, which is different in each of our tables.
 */
export function* salvage(pages: PageFile, shapes: readonly Shape[], losses: Losses): Generator<Found> {
  const seen = new PageSet(pages.count)
  const roots = readRoots(pages, seen)
  for (const shape of shapes) yield* readTree(shape, roots.get(shape.tree) ?? shape.root)

  const free = freePages(pages)
  losses.mayBeStale = free === undefined
  for (let number = 2; number <= pages.count; number += 1) {
    if (!seen.has(number) && !free?.has(number)) yield* readLoose(number)
  }

  function* readTree(shape: Shape, root: number): Generator<Found> {
    const below = [root]
    for (let number = below.pop(); number !== undefined; number = below.pop()) {
      if (number < 1 || number > pages.count) {
        losses.pages += 1
        continue
      }
      if (seen.has(number)) continue
      const page = readTreePage(pages, number)
      const rows = page?.kind === shape.kind ? rowsIn(page, shape) : undefined
      // Something else is there now: left to the second pass, in case it is a page of another table.
      if (!page || !rows || (page.cells.length > 0 && rows.length === 0)) {
        losses.pages += 1
        continue
      }
      seen.add(number)
      losses.rows += page.broken + page.cells.length - rows.length
      // Last in, first out: the rows come in their order.
      below.push(...page.children.toReversed())
      for (const { row, cell } of rows) {
        for (const overflow of cell.overflow) seen.add(overflow)
        yield { shape, row, from: 'tree' }
      }
    }
  }

  function* readLoose(number: number): Generator<Found> {
    const page = readTreePage(pages, number)
    if (!page) return
    for (const cell of page.cells) {
      const found = shapes
        .filter(({ kind }) => kind === page.kind)
        .flatMap((shape) => {
          const row = rowOf(shape, cell, true)
          return row ? [{ shape, row, from: 'loose' as const }] : []
        })
      yield* found
    }
  }
}

/** Where the schema says that each tree begins. */
function readRoots(pages: PageFile, seen: PageSet): ReadonlyMap<string, number> {
  const roots = new Map<string, number>()
  const below = [1]
  for (let number = below.pop(); number !== undefined; number = below.pop()) {
    const page = number >= 1 && number <= pages.count && !seen.has(number) ? readTreePage(pages, number) : undefined
    if (page?.kind !== 'table') continue
    seen.add(number)
    below.push(...page.children)
    for (const cell of page.cells) {
      const row = rowOf(SCHEMA_SHAPE, cell, true)
      for (const overflow of cell.overflow) seen.add(overflow)
      if (row && typeof row.name === 'string' && typeof row.rootpage === 'number') roots.set(row.name, row.rootpage)
    }
  }
  return roots
}

function rowsIn(page: TreePage, shape: Shape): { row: Row; cell: Cell }[] {
  return page.cells.flatMap((cell) => {
    const row = rowOf(shape, cell, false)
    return row ? [{ row, cell }] : []
  })
}

/** The pages that hold nothing any more, whatever is on them; undefined when their list does not add up. */
function freePages({ header, count, pageSize, page }: PageFile): PageSet | undefined {
  if (!header) return undefined
  const free = new PageSet(count)
  let trunk = header.firstFree
  let known = 0
  while (trunk !== 0) {
    const content = trunk <= count && !free.has(trunk) ? page(trunk) : undefined
    const leaves = content?.readUInt32BE(4) ?? Number.POSITIVE_INFINITY
    if (!content || leaves > pageSize / 4 - 2) return undefined
    free.add(trunk)
    for (let n = 0; n < leaves; n += 1) {
      const leaf = content.readUInt32BE(8 + 4 * n)
      if (leaf < 2 || leaf > count) return undefined
      free.add(leaf)
    }
    known += 1 + leaves
    trunk = content.readUInt32BE(0)
  }
  return known === header.freePages ? free : undefined
}

/** A byte per page: a store of a hundred gigabytes has 25 million. */
class PageSet {
  readonly #marks: Uint8Array

  constructor(count: number) {
    this.#marks = new Uint8Array(count + 1)
  }

  has(number: number): boolean {
    return this.#marks[number] === 1
  }

  add(number: number): void {
    this.#marks[number] = 1
  }
}
