import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { createFaultBook } from '../../../src/simulator/faults.ts'
import { openFileStore } from '../../../src/simulator/file-store.ts'
import { createLedgerBook } from '../../../src/simulator/ledger.ts'
import { createBatch } from '../../../src/simulator/batches/batch.ts'
import { openaiDialect } from '../../../src/simulator/openai/dialect.ts'
import { chatCompletions } from '../../../src/simulator/openai/answers/chat.ts'
import { shuffled } from '../../../src/simulator/seeded.ts'
import { chatRows, toJsonLines } from './openai-client.ts'

test('in real time a batch cancelled before its input is read stays cancelling until it has been', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'offpeak-test-'))
  const clock = { kind: 'real', now: () => 1_790_000_000_000, advance: () => {} } as const
  const files = await openFileStore(folder, clock)
  try {
    await writeFile(files.pathFor('file-1'), toJsonLines(chatRows('a', 'b')))
    const facts = {
      id: 'file-1',
      owner: 'me',
      name: 'input.jsonl',
      purpose: 'batch',
      createdAt: clock.now(),
      expiresAt: undefined,
    }
    const reading = Promise.withResolvers<void>()
    const order = {
      id: 'batch_1',
      account: { provider: 'openai', hash: 'me', organization: 'org' },
      dialect: openaiDialect({ endpoint: chatCompletions, maxRows: 10, models: [], organization: 'org' }),
      input: files.add(facts),
      windowMs: 1000,
      details: undefined,
      resultFile: (channel: string) => ({ ...facts, id: channel }),
    }
    const world = {
      clock,
      files,
      ledger: createLedgerBook(),
      faults: createFaultBook([]),
      limits: {},
      models: [],
      batchMs: 0,
    }
    const batch = createBatch(world, order, {
      faults: [],
      enqueuedTokens: () => 0,
      inTurn: (work) => reading.promise.then(work),
      signal: new AbortController().signal,
    })

    batch.cancel()
    const before = batch.view()
    reading.resolve()
    await batch.close()
    const after = batch.view()

    expect(before).toMatchObject({ phase: 'cancelling', results: { output: undefined } })
    expect(after).toMatchObject({ phase: 'cancelled', counts: { total: 2 }, results: { output: { id: 'output' } } })
    expect(world.ledger.read().batches).toMatchObject({ cancelled: 1 })
  } finally {
    await files.close()
    await rm(folder, { recursive: true })
  }
})

test('an order that comes out of the shuffle unchanged is turned round', () => {
  const leavesAllInPlace = (): number => 0.999_999

  expect(shuffled([1, 2, 3], leavesAllInPlace)).toEqual([3, 2, 1])
  expect(shuffled([1], leavesAllInPlace)).toEqual([1])
  expect(shuffled([], leavesAllInPlace)).toEqual([])
})
