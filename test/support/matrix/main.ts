/**
 * The drop-in matrix: `npm run clients [-- --markdown]`. Every cell is looked at, live and in a scope, against the simulator. The exit code
 * is 1 when one is not as declared.
 */
import { parseArgs } from 'node:util'
import { frameworkClients, sdkClients } from './clients.ts'
import { lookAt } from './look.ts'
import { asMarkdown, asText, titleOf } from './render.ts'

const { values } = parseArgs({ options: { markdown: { type: 'boolean', default: false } } })

const rows = await lookAt([...sdkClients, ...frameworkClients])
console.log(values.markdown ? asMarkdown(rows) : asText(rows))

for (const { client, cells } of rows) {
  for (const { column, complaint } of cells) {
    if (complaint === undefined) continue
    console.error(`${titleOf(client)}, ${column}: ${complaint}`)
    process.exitCode = 1
  }
}
