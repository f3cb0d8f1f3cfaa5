import { closeSync, constants, copyFileSync, existsSync, fsyncSync, linkSync, openSync, renameSync } from 'node:fs'
import { dirname } from 'node:path'
import { OffpeakError } from '../core/errors.ts'
import { COMPANIONS } from './location.ts'

/**
 * Puts the new file in the place of the damaged ones, which keep all they hold under another name. The file itself is there at any
 * moment, damaged or rebuilt: where there is none, a run would begin an empty store, and pay again.
 */
export function exchange(file: string, fresh: string, now: number): readonly string[] {
  const stamp = new Date(now).toISOString().replaceAll(/[-:]|\.\d+/g, '')
  const aside = `${file}.damaged-${stamp}`
  const there = COMPANIONS.filter((end) => existsSync(file + end))
  const taken = ['', ...there].map((end) => aside + end).find((name) => existsSync(name))
  if (taken !== undefined) {
    throw new OffpeakError('store-unusable', `${taken} exists already and was left alone; try again in a second.`)
  }
  keepUnder(aside, file)
  for (const end of there) renameSync(file + end, aside + end)
  renameSync(fresh, file)
  if (process.platform !== 'win32') syncFile(dirname(file))
  return ['', ...there].map((end) => aside + end)
}

function keepUnder(name: string, file: string): void {
  try {
    linkSync(file, name)
  } catch {
    // Not every file system has links. The copy is complete before the original is replaced.
    copyFileSync(file, name, constants.COPYFILE_EXCL)
    syncFile(name)
  }
}

/** Makes what was written to a file, or into a folder, survive a power cut. */
export function syncFile(path: string): void {
  const descriptor = openSync(path, 'r')
  try {
    fsyncSync(descriptor)
  } finally {
    closeSync(descriptor)
  }
}
