import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { createFaultBook } from '../../../src/simulator/faults.ts'
import { openFileStore } from '../../../src/simulator/file-store.ts'
import { createLedgerBook } from '../../../src/simulator/ledger.ts'
import { createBatch } from '../../../src/simulator/openai/batch.ts'
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
      account: { provider: 'openai', hash: 'me', organization: 'org' },
      endpoint: chatCompletions,
      input: files.add(facts),
      metadata: null,
      resultSeconds: undefined,
      faults: [],
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
      enqueuedTokens: () => 0,
      inTurn: (work) => reading.promise.then(work),
      signal: new AbortController().signal,
    })

    batch.cancel()
    const before = batch.object()
    reading.resolve()
    await batch.close()
    const after = batch.object()

    expect(before).toMatchObject({ status: 'cancelling', error_file_id: null })
    expect(after).toMatchObject({ status: 'cancelled', request_counts: { total: 2 } })
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
