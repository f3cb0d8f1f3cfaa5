import { batchify } from '../../../src/index.ts'
import { fetchWays } from '../../support/clients-fetch.ts'
import { describeAnswers, describeEndings } from './suite.ts'

for (const way of fetchWays) describeAnswers(way, { batchify, built: 'before the scope' })

// How a call ends depends on how it is made, not on what it asks.
const [withString, , withRequest, withRequestAndInit] = fetchWays
for (const way of [withString, withRequest, withRequestAndInit]) {
  if (way) describeEndings(way, { batchify, built: 'before the scope' })
}
if (withString) {
  describeAnswers(withString, { batchify, built: 'with batch.fetch' })
  describeEndings(withString, { batchify, built: 'with batch.fetch' })
}
