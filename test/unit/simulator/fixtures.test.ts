import { readFileSync } from 'node:fs'
import type { Simulator } from '../../../src/simulator/index.ts'
import { expect, test } from 'vitest'
import { startTestSimulator } from '../../support/simulator.ts'
import {
  chatRows,
  clientFor,
  contentOf,
  createBatch,
  toJsonLines,
  untilEnded,
  uploadText,
  type Row,
} from './openai-client.ts'

const fixture = (name: string): string =>
  readFileSync(new URL(`../../fixtures/openai/${name}`, import.meta.url), 'utf8')
const json = (name: string): Record<string, unknown> => JSON.parse(fixture(name))
const rows = (text: string): readonly Record<string, unknown>[] =>
  text
    .split('\n')
    .filter((line) => line !== '')
    .map((line): Record<string, unknown> => JSON.parse(line))

/** The shape of a value: names and types, no content. */
function shapeOf(value: unknown): unknown {
  if (Array.isArray(value)) return value.length === 0 ? [] : [shapeOf(value[0])]
  if (value === null || typeof value !== 'object') return value === null ? 'null' : typeof value
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, shapeOf(inner)]))
}

/** The shape of what OpenAI says about a row, without the answer itself (whose fields differ from model to model). */
function rowShapeOf(row: Record<string, unknown>): unknown {
  const response = row['response']
  if (response === null || typeof response !== 'object' || !('body' in response)) return shapeOf(row)
  const failed = response.body !== null && typeof response.body === 'object' && 'error' in response.body
  return failed ? shapeOf(nullable(row)) : shapeOf({ ...row, response: { ...response, body: 'an answer' } })
}

/** An error's code is text or null, from case to case. */
function nullable(row: Record<string, unknown>): unknown {
  return JSON.parse(JSON.stringify(row, (name, value: unknown) => (name === 'code' ? null : value)))
}

const raw = async (simulator: Simulator, path: string): Promise<unknown> =>
  (await fetch(simulator.baseUrl('openai') + path, { headers: { authorization: 'Bearer sk-test' } })).json()

test('uploads, creates and lists look like the fixtures', async () => {
  await using simulator = await startTestSimulator()
  const client = clientFor(simulator)
  const file = await uploadText(client, fixture('input.jsonl'))

  const upload = shapeOf(await raw(simulator, `/files/${file}`))
  const created = await client.post('/batches', { body: { ...json('create-request.json'), input_file_id: file } })
  const list = shapeOf(await raw(simulator, '/batches'))
  const refused = await client.post('/batches', { body: json('create-request.json') }).catch((error: unknown) => error)

  expect(upload).toMatchObject({ ...(shapeOf(json('upload-reply.json')) as object) }) // a shape of an object is one
  expect(shapeOf(created)).toEqual(shapeOf(json('create-reply.json')))
  expect(list).toEqual(shapeOf(json('list-reply.json')))
  expect(refused).toMatchObject({
    status: 400,
    error: { type: 'invalid_request_error', param: 'input_file_id', code: null },
  })
})

test.each([
  ['retrieve-validating.json', 200],
  ['retrieve-in_progress.json', 1000],
  ['retrieve-finalizing.json', 2800],
  ['retrieve-completed.json', 3000],
])('a batch looks like %s after %i ms', async (name, ms) => {
  await using simulator = await startTestSimulator({ autoAdvance: false })
  const client = clientFor(simulator)
  const input: Row[] = [...chatRows('a', 'b'), { custom_id: 'r3', body: { model: 'gpt-x' } }]
  const file = await uploadText(client, toJsonLines(input))
  const { id } = await client.batches.create({
    input_file_id: file,
    endpoint: '/v1/chat/completions',
    completion_window: '24h',
    metadata: { bw_job: 'k3f9' },
  })

  simulator.advance(ms)

  expect(shapeOf(await raw(simulator, `/batches/${id}`))).toEqual(shapeOf(json(name)))
})

test('failed, expired and cancelled batches look like the fixtures', async () => {
  await using simulator = await startTestSimulator({ autoAdvance: false, batchMs: 30 * 60 * 60 * 1000 })
  const client = clientFor(simulator)
  const metadata = { bw_job: 'k3f9' }
  const create = async (text: string): Promise<string> => {
    const file = await uploadText(client, text)
    const order = { input_file_id: file, endpoint: '/v1/chat/completions', completion_window: '24h', metadata } as const
    return (await client.batches.create(order)).id
  }
  const input = fixture('input.jsonl')
  const failed = await create(input.replace('"r3"', '"r2"'))
  simulator.fault({ kind: 'token-limit', times: 1 })
  const limited = await create(input)
  const expired = await create(input)
  const cancelled = await create(input)

  simulator.advance(14 * 60 * 60 * 1000)
  await client.batches.cancel(cancelled)
  const cancelling = await raw(simulator, `/batches/${cancelled}`)
  simulator.advance(10 * 60 * 60 * 1000)

  const shape = async (id: string): Promise<unknown> => shapeOf(await raw(simulator, `/batches/${id}`))
  expect(shapeOf(cancelling)).toEqual(shapeOf(json('retrieve-cancelling.json')))
  expect(await shape(cancelled)).toEqual(shapeOf(json('retrieve-cancelled.json')))
  expect(await shape(expired)).toEqual(shapeOf(json('retrieve-expired.json')))
  expect(await shape(failed)).toEqual(shapeOf(json('retrieve-failed.json')))
  expect(await shape(limited)).toEqual(shapeOf(json('retrieve-failed-token-limit.json')))
})

test('result rows look like the fixtures', async () => {
  await using simulator = await startTestSimulator({ autoAdvance: false })
  const client = clientFor(simulator)
  const partial = await createBatch(client, [...chatRows('a', 'b'), { custom_id: 'r3', body: { model: 'gpt-x' } }])
  simulator.fault({ kind: 'expire', afterRows: 1, times: 1 })
  const expired = await createBatch(client, chatRows('a', 'b', 'c'))
  const cancelled = await createBatch(client, chatRows('a', 'b', 'c'))
  simulator.advance(1500)
  await client.batches.cancel(cancelled.id)
  simulator.advance(1500)

  for (const [batch, name] of [
    [partial, 'partial'],
    [expired, 'expired'],
    [cancelled, 'cancelled'],
  ] as const) {
    const { output_file_id: output, error_file_id: errors } = await untilEnded(client, batch.id)
    const shapes = async (id: string | null | undefined): Promise<Set<string>> =>
      new Set(rows(await contentOf(client, id)).map((row) => JSON.stringify(rowShapeOf(row))))
    const expected = (file: string): Set<string> =>
      new Set(rows(fixture(file)).map((row) => JSON.stringify(rowShapeOf(row))))

    expect(await shapes(output)).toEqual(expected(`output-${name}.jsonl`))
    expect(await shapes(errors)).toEqual(expected(`errors-${name}.jsonl`))
  }
})
