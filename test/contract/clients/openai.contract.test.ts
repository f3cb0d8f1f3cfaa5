import { batchify } from '../../../src/index.ts'
import { buildOpenAI, openaiWays } from '../../support/clients-openai.ts'
import { describeAnswers, describeEndings } from './suite.ts'

const ways = openaiWays(buildOpenAI)

for (const way of ways) describeAnswers(way, { batchify, built: 'before the scope' })

const [chat] = ways
if (chat) {
  describeEndings(chat, { batchify, built: 'before the scope' })
  for (const built of ['inside the scope', 'with batch.fetch'] as const) {
    describeAnswers(chat, { batchify, built })
    describeEndings(chat, { batchify, built })
  }
}
