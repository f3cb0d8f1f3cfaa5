import { batchify } from '../../../src/index.ts'
import { langchainWays } from '../../support/clients-langchain.ts'
import { waysNamed } from '../../support/clients.ts'
import { describeAnswers, describeEndings } from './suite.ts'

for (const way of langchainWays) describeAnswers(way, { batchify, built: 'before the scope' })
// Chat models and embeddings have retries and limits of their own.
for (const way of waysNamed(langchainWays, 'langchain: ChatOpenAI.invoke and batch', 'langchain: OpenAIEmbeddings')) {
  describeEndings(way, { batchify, built: 'before the scope' })
}
for (const way of waysNamed(langchainWays, 'langchain: ChatOpenAI.invoke and batch')) {
  describeAnswers(way, { batchify, built: 'with batch.fetch' })
}
