/* `npm run readme`: writes the parts of the README that are made of the code, the screen of a demo it runs among them. */
import { readFileSync, writeFileSync } from 'node:fs'
import { adapters } from '../../src/providers/registry.ts'
import { withProviderTable } from './readme.ts'
import { recordDemo } from './terminal/record-demo.ts'
import { withDemo } from './terminal/demo-in-readme.ts'

const README = new URL('../../README.md', import.meta.url)
/** Long enough for its polls to see every batch half done. */
const BATCH_MS = 3000

const demo = await recordDemo(BATCH_MS)
if (demo.code !== 0) throw new Error(`the demo ended with ${demo.code}: ${demo.output}`)
writeFileSync(README, withDemo(withProviderTable(readFileSync(README, 'utf8'), adapters), demo))
