import { readdirSync, readFileSync } from 'node:fs'
import { basename } from 'node:path'
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

const tests = new URL('../../', import.meta.url)

/** `file > describe > test` of every test in these files, with placeholders as they stand in the source. */
function titlesIn(isWanted: (path: string) => boolean): readonly string[] {
  return readdirSync(tests, { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.test.ts') && isWanted(path))
    .flatMap((path) => {
      const titles: string[] = []
      let group = ''
      for (const { groups } of readFileSync(new URL(path.replaceAll('\\', '/'), tests), 'utf8').matchAll(TITLE)) {
        const title = groups?.['title'] ?? ''
        if (groups?.['kind'] === 'describe') group = title
        else titles.push(`${basename(path, '.test.ts')} > ${group} > ${title}`)
      }
      return titles
    })
}

test('every row of the fault table names a test that exists', () => {
  const titles = new Set(titlesIn(() => true))

  expect(table.filter((row) => !titles.has(row.test)).map(({ id }) => id)).toEqual([])
})

test('every fault test is in the fault table', () => {
  const named = new Set(table.map((row) => row.test))

  const faultTests = titlesIn((path) => basename(path).startsWith('faults-') && path.startsWith('integration'))
  expect(faultTests.length).toBeGreaterThan(60)
  expect(faultTests.filter((name) => !named.has(name))).toEqual([])
})

test('every fault has a name and a test of its own', () => {
  expect(new Set(table.map(({ id }) => id)).size).toBe(table.length)
  expect(new Set(table.map((row) => row.test)).size).toBe(table.length)
})
