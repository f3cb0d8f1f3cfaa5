import { batchify } from '../../../src/index.ts'
import { fetchWays } from '../../support/clients-fetch.ts'
import { waysNamed } from '../../support/clients.ts'
import { describeAnswers, describeEndings } from './suite.ts'

for (const way of fetchWays) describeAnswers(way, { batchify, built: 'before the scope' })

// How a call ends depends on how it is made, not on what it asks.
for (const way of waysNamed(fetchWays, 'fetch(string): chat', 'fetch(Request): chat', 'fetch(Request, init): chat')) {
  describeEndings(way, { batchify, built: 'before the scope' })
}
for (const way of waysNamed(fetchWays, 'fetch(string): chat')) {
  describeAnswers(way, { batchify, built: 'with batch.fetch' })
  describeEndings(way, { batchify, built: 'with batch.fetch' })
}
