/** What is known of one job. */
export type JobMark = 0 | 1 | 2
export const UNSEEN = 0
export const PENDING = 1
export const SETTLED = 2

const PAGE_BITS = 12
const PAGE_SIZE = 1 << PAGE_BITS

/** One byte per job, in pages: job ids are row ids, so that neighbours come together and a million of them is a megabyte. */
export interface JobSet {
  get(job: number): JobMark
  set(job: number, mark: JobMark): void
}

export function createJobSet(): JobSet {
  const pages = new Map<number, Uint8Array>()
  let pageNumber = -1
  let page: Uint8Array = new Uint8Array(0)

  function turnTo(wanted: number): void {
    let found = pages.get(wanted)
    if (!found) {
      found = new Uint8Array(PAGE_SIZE)
      pages.set(wanted, found)
    }
    pageNumber = wanted
    page = found
  }

  return {
    get(job) {
      const wanted = Math.floor(job / PAGE_SIZE)
      if (wanted !== pageNumber) turnTo(wanted)
      // Only `set` writes here, and only marks.
      return page[job % PAGE_SIZE] as JobMark
    },
    set(job, mark) {
      const wanted = Math.floor(job / PAGE_SIZE)
      if (wanted !== pageNumber) turnTo(wanted)
      page[job % PAGE_SIZE] = mark
    },
  }
}
