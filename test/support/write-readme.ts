/* `npm run readme`: writes the parts of the README that are made of the code. */
import { readFileSync, writeFileSync } from 'node:fs'
import { adapters } from '../../src/providers/registry.ts'
import { withProviderTable } from './readme.ts'

const README = new URL('../../README.md', import.meta.url)

writeFileSync(README, withProviderTable(readFileSync(README, 'utf8'), adapters))
