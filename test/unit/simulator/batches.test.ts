import { toFile } from 'openai'
import { expect, test } from 'vitest'
import { answerDigest } from '../../../src/simulator/index.ts'
import { startTestSimulator } from '../../support/simulator.ts'
import {
  chatBody,
  chatRows,
  clientFor,
  createBatch,
  rowsOf,
  untilEnded,
  uploadText,
  toJsonLines,
} from './openai-client.ts'

test('a batch is completed at the third look, and each caller finds its own answer', async () => {
  await using simulator = await startTestSimulator()
  const client = clientFor(simulator)
  const prompts = ['apples', 'pears', 'plums', 'quinces']
  const created = await createBatch(client, chatRows(...prompts))

  const looks = []
  for (let look = 0; look < 3; look++) looks.push(await client.batches.retrieve(created.id))

  const [first, , last] = looks
  expect(created).toMatchObject({ status: 'validating', request_counts: { total: 0, completed: 0, failed: 0 } })
  expect(looks.map(({ status }) => status)).toEqual(['in_progress', 'in_progress', 'completed'])
  expect(first?.request_counts).toEqual({ total: 4, completed: 1, failed: 0 })
  expect(last).toMatchObject({
    model: 'gpt-x',
    error_file_id: null,
    request_counts: { total: 4, completed: 4, failed: 0 },
  })
  const rows = await rowsOf(client, last?.output_file_id)
  expect(rows).toHaveLength(4)
  for (const [index, prompt] of prompts.entries()) {
    const row = rows.find(({ custom_id: id }) => id === `r${index + 1}`)
    const content = `Answer ${answerDigest('/v1/chat/completions', chatBody(prompt))}: ${prompt}`
    expect(row?.response?.body).toMatchObject({ choices: [{ message: { content } }] })
  }
})

test.each([2, 3, 50, 3000])('%i rows never come back in the order they were sent in', async (amount) => {
  await using simulator = await startTestSimulator()
  const client = clientFor(simulator)
  const sent = chatRows(...Array.from({ length: amount }, (_, index) => `${index} ${'padding '.repeat(20)}`))

  const { id } = await createBatch(client, sent)
  const rows = await rowsOf(client, (await untilEnded(client, id)).output_file_id)

  const ids = rows.map((row) => row.custom_id)
  expect(ids).not.toEqual(sent.map((row) => row.custom_id))
  expect(new Set(ids)).toEqual(new Set(sent.map((row) => row.custom_id)))
  expect(new Set(rows.map((row) => row.id)).size).toBe(amount)
})

test('rows that fail go to the error file, with the usual envelope', async () => {
  await using simulator = await startTestSimulator()
  const client = clientFor(simulator)
  const rows = [...chatRows('fine', '[[simulate:500]]'), { custom_id: 'r3', body: { model: 'gpt-x' } }]

  const { id } = await createBatch(client, rows)
  const batch = await untilEnded(client, id)

  expect(batch.request_counts).toEqual({ total: 3, completed: 1, failed: 2 })
  expect((await rowsOf(client, batch.output_file_id)).map((row) => row.custom_id)).toEqual(['r1'])
  const errors = await rowsOf(client, batch.error_file_id)
  expect(errors.find((row) => row.custom_id === 'r2')?.response).toMatchObject({ status_code: 500 })
  expect(errors.find((row) => row.custom_id === 'r3')).toMatchObject({
    error: null,
    response: { status_code: 400, body: { error: { type: 'invalid_request_error', param: 'messages' } } },
  })
})

test('a batch in which nothing succeeds is completed without an output file', async () => {
  await using simulator = await startTestSimulator()
  const client = clientFor(simulator)

  const { id } = await createBatch(client, chatRows('[[simulate:400]]', '[[simulate:429]]'))
  const batch = await untilEnded(client, id)

  expect(batch).toMatchObject({ status: 'completed', output_file_id: null })
  expect(await rowsOf(client, batch.error_file_id)).toHaveLength(2)
})

test('a row can ask to be missing, corrupt, twice there or not executed', async () => {
  await using simulator = await startTestSimulator()
  const client = clientFor(simulator)
  const rows = chatRows('fine', '[[simulate:missing]]', '[[simulate:duplicate]]', '[[simulate:unexecuted]]')

  const batch = await untilEnded(client, (await createBatch(client, rows)).id)
  const corrupt = await untilEnded(client, (await createBatch(client, chatRows('[[simulate:corrupt]]'))).id)

  const ids = (await rowsOf(client, batch.output_file_id)).map((row) => row.custom_id)
  expect(ids.toSorted()).toEqual(['r1', 'r3', 'r3'])
  expect(await rowsOf(client, batch.error_file_id)).toMatchObject([
    { custom_id: 'r4', response: null, error: { code: 'batch_expired' } },
  ])
  await expect(rowsOf(client, corrupt.output_file_id)).rejects.toThrow(SyntaxError)
  expect(simulator.ledger().executions).toMatchObject({ batch: 4 })
})

test('a cancelled batch keeps what it had executed and says of the rest that it was cancelled', async () => {
  await using simulator = await startTestSimulator({ autoAdvance: false })
  const client = clientFor(simulator)
  const { id } = await createBatch(client, chatRows('a', 'b', 'c', 'd'))
  simulator.advance(300 + 1200)

  const cancelling = await client.batches.cancel(id)
  simulator.advance(300)
  const cancelled = await client.batches.retrieve(id)

  expect(cancelling).toMatchObject({ status: 'cancelling', output_file_id: null, error_file_id: null })
  expect(cancelled).toMatchObject({ status: 'cancelled', request_counts: { total: 4, completed: 2, failed: 0 } })
  expect((await rowsOf(client, cancelled.output_file_id)).map((row) => row.custom_id).toSorted()).toEqual(['r1', 'r2'])
  const unexecuted = await rowsOf(client, cancelled.error_file_id)
  expect(unexecuted.map((row) => row.custom_id).toSorted()).toEqual(['r3', 'r4'])
  expect(unexecuted.every((row) => row.response === null && row.error?.code === 'batch_cancelled')).toBe(true)
  expect(simulator.ledger().executions.batch).toBe(2)
  await expect(client.batches.cancel(id)).rejects.toMatchObject({ status: 400 })
})

test('a batch cancelled while it is validated executes nothing', async () => {
  await using simulator = await startTestSimulator({ autoAdvance: false })
  const client = clientFor(simulator)
  const { id } = await createBatch(client, chatRows('a', 'b'))

  await client.batches.cancel(id)
  simulator.advance(10_000)

  expect(await client.batches.retrieve(id)).toMatchObject({ status: 'cancelled', output_file_id: null })
  expect(simulator.ledger().executions.batch).toBe(0)
})

test('a batch that takes longer than its window expires with what it has', async () => {
  const hour = 60 * 60 * 1000
  await using simulator = await startTestSimulator({ autoAdvance: false, batchMs: 50 * hour })
  const client = clientFor(simulator)
  const { id, created_at: createdAt } = await createBatch(client, chatRows('a', 'b', 'c', 'd'))

  simulator.advance(24 * hour - 1000)
  const before = await client.batches.retrieve(id)
  simulator.advance(1000)
  const after = await client.batches.retrieve(id)

  expect(before.status).toBe('in_progress')
  expect(after).toMatchObject({ status: 'expired', expires_at: createdAt + 24 * 60 * 60 })
  expect(await rowsOf(client, after.output_file_id)).toHaveLength(1)
  expect((await rowsOf(client, after.error_file_id)).map((row) => row.error?.code)).toEqual(
    Array(3).fill('batch_expired'),
  )
})

test('a batch walks through every status of its ordinary life', async () => {
  await using simulator = await startTestSimulator({ autoAdvance: false, batchMs: 1000 })
  const client = clientFor(simulator)
  const { id } = await createBatch(client, chatRows('a'))

  const statuses = []
  for (const ms of [99, 1, 799, 1, 99, 1]) {
    simulator.advance(ms)
    statuses.push((await client.batches.retrieve(id)).status)
  }

  expect(statuses).toEqual(['validating', 'in_progress', 'in_progress', 'finalizing', 'finalizing', 'completed'])
})

test('waiting tokens above the limit fail a batch later, not at once, until there is room again', async () => {
  await using simulator = await startTestSimulator({ limits: { enqueuedTokens: 10 }, autoAdvance: false })
  const client = clientFor(simulator)
  const rows = chatRows('a prompt of some twenty-four')
  const first = await createBatch(client, rows)

  const second = await createBatch(client, rows)
  const other = await createBatch(client, [
    { custom_id: 'r1', body: chatBody('a prompt of some twenty-four', { model: 'gpt-y' }) },
  ])
  simulator.advance(3000)
  const refused = await client.batches.retrieve(second.id)
  const third = await createBatch(client, rows)
  simulator.advance(3000)

  expect(second.status).toBe('validating')
  expect(refused).toMatchObject({ status: 'failed', errors: { data: [{ code: 'token_limit_exceeded', line: null }] } })
  expect(await client.batches.retrieve(first.id)).toMatchObject({ status: 'completed' })
  expect(await client.batches.retrieve(other.id)).toMatchObject({ status: 'completed' })
  expect(await client.batches.retrieve(third.id)).toMatchObject({ status: 'completed' })
})

test('batches are listed newest first, page by page', async () => {
  await using simulator = await startTestSimulator()
  const client = clientFor(simulator)
  const file = await uploadText(client, toJsonLines(chatRows('a')))
  const ids: string[] = []
  for (let index = 0; index < 5; index++) {
    const metadata = { number: String(index) }
    const batch = await client.batches.create({
      input_file_id: file,
      endpoint: '/v1/chat/completions',
      completion_window: '24h',
      metadata,
    })
    ids.unshift(batch.id)
  }

  const page = await client.batches.list({ limit: 2 })
  const all = await Array.fromAsync(client.batches.list({ limit: 2 }))

  expect(page.has_more).toBe(true)
  expect(all.map(({ id }) => id)).toEqual(ids)
  expect(all.map(({ metadata }) => metadata?.['number'])).toEqual(['4', '3', '2', '1', '0'])
})

test('an account sees nothing of another', async () => {
  await using simulator = await startTestSimulator()
  const mine = clientFor(simulator)
  const others = [clientFor(simulator, { apiKey: 'sk-other' }), clientFor(simulator, { organization: 'org-other' })]
  const batch = await createBatch(mine, chatRows('a'))

  for (const other of others) {
    await expect(other.batches.retrieve(batch.id)).rejects.toMatchObject({ status: 404 })
    await expect(other.batches.cancel(batch.id)).rejects.toMatchObject({ status: 404 })
    await expect(other.files.retrieve(batch.input_file_id)).rejects.toMatchObject({ status: 404 })
    await expect(other.files.content(batch.input_file_id)).rejects.toMatchObject({ status: 404 })
    await expect(other.files.delete(batch.input_file_id)).rejects.toMatchObject({ status: 404 })
    const stolen = {
      input_file_id: batch.input_file_id,
      endpoint: '/v1/chat/completions',
      completion_window: '24h',
    } as const
    await expect(other.batches.create(stolen)).rejects.toMatchObject({ status: 400, param: 'input_file_id' })
    expect((await other.batches.list()).data).toEqual([])
    expect((await other.files.list()).data).toEqual([])
  }
  expect((await mine.batches.retrieve(batch.id)).id).toBe(batch.id)
})

test('results survive the deletion of the input, and files can be listed, read and deleted', async () => {
  await using simulator = await startTestSimulator()
  const client = clientFor(simulator)
  const batch = await createBatch(client, chatRows('a', 'b'))

  await client.files.delete(batch.input_file_id)
  const ended = await untilEnded(client, batch.id)
  const outputId = ended.output_file_id ?? ''

  expect(await rowsOf(client, outputId)).toHaveLength(2)
  await expect(client.files.retrieve(batch.input_file_id)).rejects.toMatchObject({ status: 404 })
  const output = await client.files.retrieve(outputId)
  expect(output).toMatchObject({ purpose: 'batch_output', object: 'file', status: 'processed' })
  expect(output.bytes).toBe(Buffer.byteLength(await (await client.files.content(outputId)).text()))
  expect((await client.files.list({ purpose: 'batch_output' })).data.map(({ id }) => id)).toEqual([outputId])
  await client.files.delete(outputId)
  await expect(client.files.content(outputId)).rejects.toMatchObject({ status: 404 })
})

test('files and results vanish when they expire', async () => {
  await using simulator = await startTestSimulator()
  const client = clientFor(simulator)
  const file = await client.files.create({
    purpose: 'batch',
    file: await toFile(Buffer.from(toJsonLines(chatRows('a'))), 'input.jsonl'),
    expires_after: { anchor: 'created_at', seconds: 3600 },
  })
  const { id } = await client.batches.create({
    input_file_id: file.id,
    endpoint: '/v1/chat/completions',
    completion_window: '24h',
    output_expires_after: { anchor: 'created_at', seconds: 7200 },
  })
  const { output_file_id: output } = await untilEnded(client, id)

  simulator.advance(3600 * 1000)
  await expect(client.files.retrieve(file.id)).rejects.toMatchObject({ status: 404 })
  expect(await rowsOf(client, output)).toHaveLength(1)
  simulator.advance(3600 * 1000)

  await expect(client.files.content(output ?? '')).rejects.toMatchObject({ status: 404 })
  expect(file.expires_at).toBe(file.created_at + 3600)
})
