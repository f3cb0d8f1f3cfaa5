import { batchify } from '../../../src/index.ts'
import { undiciWays } from '../../support/clients-fetch.ts'
import { describeAnswers, describeEndings } from './suite.ts'

for (const way of undiciWays) {
  describeAnswers(way, { batchify, built: 'before the scope' })
  describeEndings(way, { batchify, built: 'before the scope' })
}
