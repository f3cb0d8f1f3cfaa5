import { batchify } from '../../../src/index.ts'
import { aiSdkWays } from '../../support/clients-ai-sdk.ts'
import { describeAnswers, describeEndings } from './suite.ts'

for (const way of aiSdkWays) {
  describeAnswers(way, { batchify, built: 'before the scope' })
  describeEndings(way, { batchify, built: 'before the scope' })
}
