import { batchify } from '../../../src/index.ts'
import { buildOpenAI, openaiWays } from '../../support/clients-openai.ts'
import { waysNamed } from '../../support/clients.ts'
import { describeAnswers, describeEndings } from './suite.ts'

const ways = openaiWays(buildOpenAI)

for (const way of ways) describeAnswers(way, { batchify, built: 'before the scope' })

// How a call ends depends on how it is made, not on what it asks.
for (const way of waysNamed(ways, 'openai: chat.completions.create')) {
  describeEndings(way, { batchify, built: 'before the scope' })
  describeAnswers(way, { batchify, built: 'with batch.fetch' })
  describeEndings(way, { batchify, built: 'with batch.fetch' })
}
