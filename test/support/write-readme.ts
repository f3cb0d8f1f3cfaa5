/* `npm run readme`: writes the parts of the README that are made of the code, what clients and a demo did when they were run among them. */
import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { adapters } from '../../src/providers/registry.ts'
import { withClientTable, withProviderTable } from './readme.ts'
import { recordDemo } from './terminal/record-demo.ts'
import { withDemo } from './terminal/demo-in-readme.ts'

const README = new URL('../../README.md', import.meta.url)
/** Long enough for its polls to see every batch half done. */
const BATCH_MS = 3000

const demo = await recordDemo(BATCH_MS)
if (demo.code !== 0) throw new Error(`the demo ended with ${demo.code}: ${demo.output}`)
// It ends with 1, and this with it, when a client does not do what the table says.
const clients = execFileSync(process.execPath, [
  '--no-warnings',
  fileURLToPath(new URL('matrix/main.ts', import.meta.url)),
  '--markdown',
])
const readme = withProviderTable(readFileSync(README, 'utf8'), adapters)
writeFileSync(README, withDemo(withClientTable(readme, clients.toString()), demo))
