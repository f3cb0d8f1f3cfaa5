import { describe, expect, it } from 'vitest'
import { batchify } from '../../../src/index.ts'
import { undiciWays } from '../../support/clients-fetch.ts'
import { openScene, rejection } from '../../support/clients-scene.ts'
import { waysNamed } from '../../support/clients.ts'
import { describeAnswers, describeEndings } from './suite.ts'

for (const way of undiciWays) {
  describeAnswers(way, { batchify, built: 'before the scope' })
  describeEndings(way, { batchify, built: 'before the scope' })
}

describe.for(waysNamed(undiciWays, 'undici.fetch: chat'))('$name', (way) => {
  // undici has a Request class of its own, whose signal nobody can shield: what is promised then is that nothing is paid twice.
  it('ends at its own limit, and the next run finds the answer', async () => {
    await using scene = await openScene(batchify, { autoAdvance: false })
    const { simulator, connection } = scene
    await using batch = await scene.open()
    const ask = way.connect({ ...connection, timeoutMs: 200 })

    const error = await rejection(batch.run(() => ask('limited')))
    // On a busy machine it may have given up before anything was submitted.
    batch.on('batch-submitted', () => simulator.advance(60_000))
    simulator.advance(60_000)
    await batch.close()
    await using later = await scene.open()
    const answer = await later.run(() => way.connect(connection)('limited'))

    expect(error).toHaveProperty('name', 'TimeoutError')
    expect(JSON.stringify(answer)).toContain('limited')
    expect(simulator.ledger()).toMatchObject({ executions: { live: 0, batch: 1 }, batches: { created: 1 } })
  })
})
