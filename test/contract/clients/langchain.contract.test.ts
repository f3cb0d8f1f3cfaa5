import { batchify } from '../../../src/index.ts'
import { langchainWays } from '../../support/clients-langchain.ts'
import { describeAnswers, describeEndings } from './suite.ts'

for (const way of langchainWays) {
  describeAnswers(way, { batchify, built: 'before the scope' })
  describeEndings(way, { batchify, built: 'before the scope' })
}
