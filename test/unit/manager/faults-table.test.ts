import { readdirSync, readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { parse } from 'yaml'
import { z } from 'zod'

const table = z
  .array(
    z.strictObject({
      id: z.string().regex(/^[a-z-]+$/),
      at: z.string(),
      fault: z.string(),
      action: z.string(),
      caller: z.string(),
      test: z.string(),
    }),
  )
  .parse(parse(readFileSync(new URL('../../faults.yaml', import.meta.url), 'utf8')))

const TITLE =
  /\b(?<kind>describe|test)(?:\.each\([\s\S]*?\))?\(\s*(?<quote>['`])(?<title>(?:\\.|(?!\k<quote>).)*)\k<quote>/g

/** `file > describe > test` of every fault test, with placeholders as they stand in the source. */
function faultTests(): readonly string[] {
  const folder = new URL('../../integration/', import.meta.url)
  return readdirSync(folder)
    .filter((name) => /^faults.*\.test\.ts$/.test(name))
    .flatMap((name) => {
      const titles: string[] = []
      let group = ''
      for (const { groups } of readFileSync(new URL(name, folder), 'utf8').matchAll(TITLE)) {
        const title = groups?.['title'] ?? ''
        if (groups?.['kind'] === 'describe') group = title
        else titles.push(`${name.replace('.test.ts', '')} > ${group} > ${title}`)
      }
      return titles
    })
}

test('every row of the fault table names a test that exists', () => {
  const tests = new Set(faultTests())

  expect(table.filter((row) => !tests.has(row.test)).map(({ id }) => id)).toEqual([])
})

test('every fault test is in the fault table', () => {
  const named = new Set(table.map((row) => row.test))

  expect(faultTests().filter((name) => !named.has(name))).toEqual([])
})

test('every fault has a name and a test of its own', () => {
  expect(new Set(table.map(({ id }) => id)).size).toBe(table.length)
  expect(new Set(table.map((row) => row.test)).size).toBe(table.length)
  expect(table.length).toBeGreaterThan(60)
})
