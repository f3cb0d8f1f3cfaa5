import { setImmediate as turn } from 'node:timers/promises'
import OpenAI, { APIConnectionTimeoutError, BadRequestError, InternalServerError, RateLimitError } from 'openai'
import { describe, expect, it } from 'vitest'
import { batchify } from '../../../src/index.ts'
import { buildOpenAI } from '../../support/clients-openai.ts'
import { allOf, next, openScene, rejection } from '../../support/clients-scene.ts'
import { comparable } from '../../support/clients.ts'

const model = 'gpt-4o-mini'
const question = (content: string) => ({ model, messages: [{ role: 'user' as const, content }] })

describe.concurrent('openai, beyond the answer', () => {
  it('rejects with its BadRequestError, with code, param and message, for a body the provider refuses', async () => {
    await using scene = await openScene(batchify)
    const client = buildOpenAI(scene.connection)
    const bad = { model, messages: [] }
    const live = await rejection(client.chat.completions.create(bad))
    await using batch = await scene.open()

    const error = await rejection(batch.run(() => client.chat.completions.create(bad)))

    expect(error).toBeInstanceOf(BadRequestError)
    expect(error).toMatchObject({ status: 400, code: 'empty_array', param: 'messages', type: 'invalid_request_error' })
    expect(error).toHaveProperty('message', Reflect.get(Object(live), 'message'))
    expect(Reflect.get(Object(error), 'requestID')).toMatch(/\S/)
  })

  it('rejects with its RateLimitError and its InternalServerError once the rows have had their tries, at its own defaults', async () => {
    await using scene = await openScene(batchify)
    const client = buildOpenAI(scene.connection)
    await using batch = await scene.open()

    const [limited, broken] = await batch.run(() =>
      Promise.all([
        rejection(client.chat.completions.create(question('[[simulate:429]]'))),
        rejection(client.chat.completions.create(question('[[simulate:503]]'))),
      ]),
    )
    await batch.close()

    expect(limited).toBeInstanceOf(RateLimitError)
    expect(limited).toMatchObject({ status: 429, code: 'rate_limit_exceeded' })
    expect(broken).toBeInstanceOf(InternalServerError)
    expect(broken).toMatchObject({ status: 503, type: 'server_error' })
    expect(scene.simulator.ledger().errors).toEqual({ live: 0, batch: 6 })
  })

  it('shows a request id, and the same answer and headers through withResponse and asResponse', async () => {
    await using scene = await openScene(batchify)
    const client = buildOpenAI(scene.connection)
    const live = await client.chat.completions.create(question('shown')).withResponse()
    await using batch = await scene.open()

    const [plain, whole, raw] = await batch.run(() =>
      Promise.all([
        client.chat.completions.create(question('shown')),
        client.chat.completions.create(question('shown')).withResponse(),
        client.chat.completions.create(question('shown')).asResponse(),
      ]),
    )

    expect(Reflect.get(plain, '_request_id')).toMatch(/\S/)
    expect(whole.request_id).toBe(whole.response.headers.get('x-request-id'))
    expect(Reflect.get(whole.data, '_request_id')).toBe(whole.request_id)
    expect(whole.request_id).not.toBe(Reflect.get(plain, '_request_id'))
    expect(comparable(whole.data)).toEqual(comparable(live.data))
    expect(raw).toBeInstanceOf(Response)
    expect(raw).toMatchObject({ status: 200, ok: true, url: live.response.url, redirected: false })
    expect(comparable(await raw.json())).toEqual(comparable(live.data))
  })

  it('gives a Response what SDKs read of a live one, and nothing about a connection that never was', async () => {
    await using scene = await openScene(batchify)
    const { baseUrl, apiKey } = scene.connection
    const send = (content: string): Promise<Response> =>
      fetch(`${baseUrl}/chat/completions`, {
        method: 'POST',
        headers: { authorization: `Bearer ${apiKey}`, 'content-type': 'application/json' },
        body: JSON.stringify(question(content)),
      })
    const live = await send('headers')
    await using batch = await scene.open()

    const [fine, failed] = await batch.run(() => Promise.all([send('headers'), send('[[simulate:400]]')]))

    expect(fine.headers.get('content-type')).toBe(live.headers.get('content-type'))
    expect(live.headers.get('x-request-id')).toMatch(/\S/)
    expect([...fine.headers.keys()]).toEqual([
      'content-type',
      'x-offpeak-batch',
      'x-offpeak-cache',
      'x-offpeak-job',
      'x-request-id',
    ])
    expect([...failed.headers.keys()]).toEqual([...fine.headers.keys(), 'x-should-retry'].sort())
    expect(failed.headers.get('x-should-retry')).toBe('false')
    expect({ ok: fine.ok, status: fine.status, statusText: fine.statusText, type: fine.type }).toEqual({
      ok: live.ok,
      status: live.status,
      statusText: live.statusText,
      type: live.type,
    })
  })

  it('decodes the same vectors from base64 as live, and the same as floats', async () => {
    await using scene = await openScene(batchify)
    const client = buildOpenAI(scene.connection)
    const body = { model: 'text-embedding-3-small', input: ['one', 'two', 'three'] }
    const live = await client.embeddings.create(body)
    await using batch = await scene.open()

    const [decoded, floats] = await batch.run(() =>
      Promise.all([client.embeddings.create(body), client.embeddings.create({ ...body, encoding_format: 'float' })]),
    )

    expect(live.data.map(({ embedding }) => embedding.length)).toEqual([1536, 1536, 1536])
    expect(decoded.data).toEqual(live.data)
    expect(floats.data.map(({ embedding }) => Float32Array.from(embedding))).toEqual(
      live.data.map(({ embedding }) => Float32Array.from(embedding)),
    )
  })
})

describe.concurrent('openai, its own retries', () => {
  it('joins the job it is already waiting for when its limit has ended the first try', async () => {
    await using scene = await openScene(batchify, { autoAdvance: false })
    const { simulator, connection } = scene
    await using batch = await scene.open({ timeouts: 'honor' })
    const queued = allOf(batch, 'request-queued')
    // On a busy machine the second try may not be the last either.
    const client = buildOpenAI({ ...connection, timeoutMs: 200, maxRetries: 8 })
    const answering = batch.run(() => client.chat.completions.create(question('patience')))
    // On a busy machine the second try may come before there is a batch whose time could pass.
    void Promise.all([next(batch, 'request-joined'), next(batch, 'batch-submitted')]).then(() =>
      simulator.advance(60_000),
    )

    const answer = await answering

    expect(answer.choices[0]?.message.content).toContain('patience')
    expect(queued).toHaveLength(1)
    expect(simulator.ledger()).toMatchObject({ executions: { live: 0, batch: 1 }, batches: { created: 1 } })
  })

  it('gives up with its timeout error where timeouts are honoured, after one execution for all its tries', async () => {
    await using scene = await openScene(batchify, { autoAdvance: false })
    const { simulator, connection } = scene
    await using batch = await scene.open({ timeouts: 'honor' })
    const client = buildOpenAI({ ...connection, timeoutMs: 200, maxRetries: 1 })

    const error = await rejection(batch.run(() => client.chat.completions.create(question('too slow'))))
    await batch.close()
    simulator.advance(60_000)
    await using later = await scene.open()
    // On a busy machine it may have given up before anything was submitted.
    later.on('batch-submitted', () => simulator.advance(60_000))
    const patient = buildOpenAI(connection)
    const answer = await later.run(() => patient.chat.completions.create(question('too slow')))

    expect(error).toBeInstanceOf(APIConnectionTimeoutError)
    expect(answer.choices[0]?.message.content).toContain('too slow')
    expect(simulator.ledger()).toMatchObject({ executions: { live: 0, batch: 1 }, batches: { created: 1 } })
  })
})

describe.concurrent('openai, what is not for batches', () => {
  it('lists models, uploads files and runs batches of its own as if nobody were there', async () => {
    await using scene = await openScene(batchify)
    const { simulator, connection } = scene
    const client = buildOpenAI(connection)
    await using batch = await scene.open()
    const passed = allOf(batch, 'request-passed-through')
    const line = { custom_id: 'mine', method: 'POST', url: '/v1/chat/completions', body: question('by hand') }

    const [models, content, finished] = await batch.run(() => runByHand(client, line))

    expect(models).toContain(model)
    expect(content).toBe(`${JSON.stringify(line)}\n`)
    expect(finished).toContain('by hand')
    expect(passed).toEqual([])
    expect(batch.snapshot()).toMatchObject({ requests: { total: 0 }, batches: [] })
    expect(simulator.ledger()).toMatchObject({ calls: { upload: 1, create: 1 }, executions: { live: 0, batch: 1 } })
  })

  it('leaves calls to other hosts alone, even where their paths are the same', async () => {
    await using scene = await openScene(batchify)
    await using elsewhere = await openScene(batchify)
    await using batch = await scene.open()
    const client = buildOpenAI(elsewhere.connection)

    const answer = await batch.run(() => client.chat.completions.create(question('not ours')))

    expect(answer.choices[0]?.message.content).toContain('not ours')
    expect(elsewhere.simulator.ledger()).toMatchObject({ executions: { live: 1, batch: 0 }, calls: { create: 0 } })
    expect(batch.snapshot().requests.total).toBe(0)
  })

  it('goes on live after its scope has closed', async () => {
    await using scene = await openScene(batchify)
    const client = buildOpenAI(scene.connection)

    await batchify(scene.options, () => client.responses.create({ model, input: 'batched' }))
    const after = await client.responses.create({ model, input: 'live again' })

    expect(after.output_text).toContain('live again')
    expect(scene.simulator.ledger().executions).toMatchObject({ live: 1, batch: 1 })
  })
})

describe('openai, the end of a scope', () => {
  it('is silent when a scope is closed inside its block and disposed at the end of it', async () => {
    await using scene = await openScene(batchify)
    const warnings: Error[] = []
    const heard = (warning: Error): void => void warnings.push(warning)
    process.on('warning', heard)
    const client = buildOpenAI(scene.connection)

    {
      await using batch = await scene.open()
      await batch.run(() => client.responses.create({ model, input: 'the last one' }))
      await batch.close()
    }
    // Warnings are told in a later turn.
    await turn()
    process.off('warning', heard)

    expect(warnings).toEqual([])
  })
})

/** What programs did before: model names, the uploaded file read back, and the output of a batch. */
async function runByHand(client: OpenAI, line: object): Promise<[readonly string[], string, string]> {
  const models = await Array.fromAsync(client.models.list())
  const file = await client.files.create({
    file: new File([`${JSON.stringify(line)}\n`], 'mine.jsonl'),
    purpose: 'batch',
  })
  const content = await (await client.files.content(file.id)).text()
  const { id } = await client.batches.create({
    input_file_id: file.id,
    endpoint: '/v1/chat/completions',
    completion_window: '24h',
  })
  let state = await client.batches.retrieve(id)
  while (state.status !== 'completed') state = await client.batches.retrieve(id)
  const output = await (await client.files.content(state.output_file_id ?? '')).text()
  return [models.map(({ id }) => id), content, output]
}
