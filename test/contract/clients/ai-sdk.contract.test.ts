import { batchify } from '../../../src/index.ts'
import { aiSdkWays } from '../../support/clients-ai-sdk.ts'
import { waysNamed } from '../../support/clients.ts'
import { describeAnswers, describeEndings } from './suite.ts'

const own = ['ai: generateText (responses)', 'ai: generateText with a loop of tools (chat)', 'ai: embed and embedMany']

for (const way of aiSdkWays) describeAnswers(way, { batchify, built: 'before the scope' })
// Each of these functions has retries, signals and limits of its own.
for (const way of waysNamed(aiSdkWays, ...own)) describeEndings(way, { batchify, built: 'before the scope' })
for (const way of waysNamed(aiSdkWays, 'ai: generateText (chat)')) {
  describeAnswers(way, { batchify, built: 'with batch.fetch' })
}
