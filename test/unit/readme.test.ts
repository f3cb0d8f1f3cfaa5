import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { parseConfig } from '../../src/config.ts'
import { adapters } from '../../src/providers/registry.ts'
import { withProviderTable } from '../support/readme.ts'

const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8')

test('the README’s table of providers is what the adapters say; `npm run readme` writes it', () => {
  expect(readme).toBe(withProviderTable(readme, adapters))
  for (const { facts } of adapters) expect(readme).toContain(`| ${facts.title} |`)
})

test('the README names every option', () => {
  const { retentionMs: _, deferAfterMs: __, disabled: ___, adapters: ____, ...options } = parseConfig({}, {}, adapters)

  for (const option of [...Object.keys(options), 'deferred', 'providers']) expect(readme).toContain(`| \`${option}\` |`)
})
