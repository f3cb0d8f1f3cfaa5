import Anthropic from '@anthropic-ai/sdk'
import { channel } from 'node:diagnostics_channel'
import { readdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import OpenAI, { BadRequestError, toFile } from 'openai'
import { request } from 'undici'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { z } from 'zod'
import { batchify, type BatchifyOptions, type BatchScope, type DryRunReport, openMemoryStore } from '../../src/index.ts'
import { openScene, rejection } from '../support/clients-scene.ts'
import { tempFolder } from '../support/store.ts'

const openai = new OpenAI({ apiKey: 'key', baseURL: 'http://openai.invalid/v1', maxRetries: 0 })
const anthropic = new Anthropic({ apiKey: 'key', baseURL: 'http://anthropic.invalid', maxRetries: 0 })
const baseUrls = { openai: ['http://openai.invalid/v1'], anthropic: ['http://anthropic.invalid'] }
const model = 'gpt-4o-mini'
const question = (content: string) => ({ model, max_tokens: 100, messages: [{ role: 'user' as const, content }] })
const ask = (content: string) => openai.chat.completions.create(question(content))

/** No host here can be found, so that even what is sent reaches nobody. */
let sent = 0
const onSent = (message: unknown): void => {
  const { request } = Object(message) as { readonly request?: { readonly origin?: unknown } } // the channel's own shape
  if (/\.invalid/.test(String(request?.origin))) sent += 1
}
beforeAll(() => channel('undici:request:create').subscribe(onSent))
afterAll(() => {
  channel('undici:request:create').unsubscribe(onSent)
})

async function open(more: BatchifyOptions = {}): Promise<BatchScope> {
  // The block form reaches as far as the asynchronous function it is in: here, no further than this one.
  await Promise.resolve()
  return batchify({ dryRun: true, display: 'off', store: openMemoryStore(), baseUrls, ...more })
}

function told(scope: BatchScope): DryRunReport {
  const { dryRun } = scope.report()
  if (!dryRun) throw new Error('there is no report of a dry run')
  return dryRun
}

/** What a program asks, counted. */
async function counted(program: () => Promise<unknown>, more: BatchifyOptions = {}): Promise<DryRunReport> {
  await using scope = await open(more)
  await scope.run(program)
  await scope.close()
  return told(scope)
}

describe('a dry run counts', () => {
  test('what is asked at once in as few batches as it would take', async () => {
    const all = (): Promise<unknown> => Promise.all(['a', 'b', 'c', 'd', 'e'].map(ask))

    const [one, three] = await Promise.all([counted(all), counted(all, { batchSize: 2 })])

    expect(one.totals).toMatchObject({ requests: 5, batches: 1 })
    expect(three.totals).toMatchObject({ requests: 5, batches: 3 })
  })

  test('a batch for each step of a program that needs one answer to ask the next question', async () => {
    const report = await counted(async () => {
      for (let step = 0, said = 'go'; step < 3; step++)
        said = (await ask(`${step} ${said}`)).choices[0]?.message.content ?? ''
    })

    expect(report.totals).toMatchObject({ requests: 3, batches: 3 })
  })

  test('by provider, endpoint and model, with models in one batch where they may share one', async () => {
    const create = (model: string) =>
      anthropic.messages.create({ model, max_tokens: 10, messages: [{ role: 'user', content: 'a' }] })

    const report = await counted(() =>
      Promise.all([
        ask('a'),
        openai.embeddings.create({ model: 'text-embedding-3-small', input: 'a' }),
        ...['claude-haiku-4-5', 'claude-sonnet-4-6'].map(create),
      ]),
    )

    expect(report.groups).toMatchObject([
      { provider: 'anthropic', model: 'claude-haiku-4-5', requests: 1, batches: 1 },
      { provider: 'anthropic', model: 'claude-sonnet-4-6', requests: 1, batches: 1 },
      { provider: 'openai', endpoint: '/v1/chat/completions', model, requests: 1, batches: 1 },
      { provider: 'openai', endpoint: '/v1/embeddings', requests: 1, batches: 1 },
    ])
    expect(report.totals).toMatchObject({ requests: 4, batches: 3 })
  })

  test('tokens, and money as a range: what it costs in batches is half of what it costs live', async () => {
    const { totals, prices } = await counted(() => Promise.all([ask('a'), ask('b')]))

    const { low = 0, likely = 0, high = 0 } = totals.batchCostUsd ?? {}
    expect(totals.tokens).toMatchObject({ input: expect.any(Number), output: { low: 2, high: 200 } })
    expect(0 < low && low < likely && likely <= high).toBe(true)
    expect(totals.liveCostUsd?.high).toBeCloseTo(2 * high, 12)
    expect(totals.savedUsd?.likely).toBeCloseTo(likely, 12)
    expect(totals.unpriced).toEqual({ live: 0, batch: 0, because: [] })
    expect(prices).toMatchObject({ checked: expect.stringMatching(/^\d{4}-\d\d-\d\d$/) })
  })

  test('a model without a price as unknown, which is in no sum', async () => {
    const nobodys = { ...question('a'), model: 'gpt-of-nobody' }

    const alone = await counted(() => openai.chat.completions.create(nobodys))
    const beside = await counted(() => Promise.all([ask('a'), openai.chat.completions.create(nobodys)]))

    expect(alone.totals).not.toHaveProperty('batchCostUsd')
    expect(alone.totals).not.toHaveProperty('liveCostUsd')
    expect(alone.totals).not.toHaveProperty('savedUsd')
    expect(alone.totals.unpriced).toMatchObject({
      live: 1,
      batch: 1,
      because: [expect.stringContaining('gpt-of-nobody')],
    })
    expect(beside.totals).toMatchObject({ requests: 2, unpriced: { live: 1, batch: 1 } })
    expect(beside.totals.batchCostUsd).toEqual(beside.groups[0]?.batchCostUsd)
  })

  test('nobody who has left before the answer', async () => {
    const report = await counted(async () => {
      const leaving = new AbortController()
      const left = rejection(openai.chat.completions.create(question('left'), { signal: leaving.signal }))
      const stayed = ask('stayed')
      await Promise.resolve().then(() => setImmediate(() => leaving.abort()))
      await Promise.all([left, stayed])
    })

    expect(report.totals.requests).toBe(1)
  })
})

test('what earlier runs were answered is found in the store, and their answers are given', async () => {
  await using scene = await openScene(batchify)
  const { baseUrl, apiKey } = scene.connection
  const client = new OpenAI({ baseURL: baseUrl, apiKey })
  const create = (content: string) => client.chat.completions.create(question(content))
  const real = await batchify(scene.options, () => create('known'))
  const folder = dirname(z.string().parse(scene.options.store))
  const files = readdirSync(folder)
  await using scope = await scene.open({ dryRun: true })

  const [known, again, unknown] = await scope.run(() => Promise.all([create('known'), create('known'), create('new')]))
  await scope.close()

  expect(known).toEqual(real)
  expect([again, unknown].map(({ choices }) => choices[0]?.message.content)).toEqual(['dry run', 'dry run'])
  expect(told(scope).totals).toMatchObject({ requests: 3, cached: 1, batches: 1 })
  expect(scene.simulator.ledger().executions).toMatchObject({ live: 0, batch: 1 })
  expect(readdirSync(folder)).toEqual(files)
})

test('no store is made where there is none', async () => {
  using folder = tempFolder()

  const report = await counted(() => ask('a'), { store: join(folder.path, 'state', 'store.db') })

  expect(report.totals).toMatchObject({ requests: 1, cached: 0 })
  expect(readdirSync(folder.path)).toEqual([])
})

describe('a call that no batch can carry is refused, counted, and not sent:', () => {
  const image = toFile(Buffer.from('png'), 'a.png', { type: 'image/png' })

  test.each([
    ['one that streams', 'streaming', () => openai.chat.completions.create({ ...question('a'), stream: true })],
    [
      'one that is not admitted',
      'not-admitted',
      () => openai.chat.completions.create({ ...question('a'), service_tier: 'flex' }),
    ],
    [
      'one to an endpoint that no batch takes',
      'not-admitted',
      () => openai.audio.speech.create({ model: 'tts-1', voice: 'alloy', input: 'a' }),
    ],
    ['a form', 'not-json', async () => openai.images.edit({ model: 'gpt-image-1', image: await image, prompt: 'a' })],
  ])('%s', async (_, reason, call) => {
    await using scope = await open()

    const error = await scope.run(() => rejection(call()))
    await scope.close()

    expect(error).toBeInstanceOf(BadRequestError)
    expect(error).toMatchObject({ status: 400, code: 'dry_run', message: expect.stringContaining('nothing was sent') })
    expect(told(scope)).toMatchObject({
      totals: { requests: 0 },
      wouldPassThrough: [{ provider: 'openai', reason, requests: 1 }],
    })
    expect(sent).toBe(0)
  })

  test('one that has lost its scope', async () => {
    await using scope = await open()

    const error = await rejection(ask('a'))

    expect(error).toMatchObject({ status: 400, code: 'dry_run' })
    expect(told(scope).wouldPassThrough).toMatchObject([{ reason: 'outside-scope', requests: 1 }])
  })

  test('one by undici, inside the scope and outside', async () => {
    await using scope = await open()
    const send = (stream: boolean) =>
      request('http://openai.invalid/v1/chat/completions', {
        method: 'POST',
        headers: { authorization: 'Bearer key', 'content-type': 'application/json' },
        body: JSON.stringify({ ...question('a'), stream }),
      })

    const [inside, outside] = await Promise.all([scope.run(() => send(true)), send(false)])

    expect([inside.statusCode, outside.statusCode]).toEqual([400, 400])
    expect(await inside.body.json()).toMatchObject({ error: { code: 'dry_run' } })
    expect(
      told(scope)
        .wouldPassThrough.map(({ reason }) => reason)
        .sort(),
    ).toEqual(['outside-scope', 'streaming'])
  })

  test('one that comes when the scope is over', async () => {
    await using scope = await open()
    const late = await scope.run(() =>
      Promise.resolve(() => scope.fetch('http://openai.invalid/v1/responses', { method: 'POST', body: '{}' })),
    )
    await scope.close()

    const response = await late()

    expect(response.status).toBe(400)
    expect(told(scope).wouldPassThrough).toMatchObject([{ reason: 'scope-closed' }])
  })
})

test('what is no provider’s goes its own way, and so does what a provider is only asked to look up or to count', async () => {
  const fetched = vi.fn<typeof fetch>(() => Promise.resolve(new Response('theirs')))
  const before = globalThis.fetch
  globalThis.fetch = fetched
  try {
    await using scope = await open()

    const responses = await scope.run(() =>
      Promise.all([
        fetch('https://example.com/', { method: 'POST', body: '{}' }),
        fetch('http://openai.invalid/v1/models'),
        fetch('http://anthropic.invalid/v1/messages/count_tokens', { method: 'POST', body: '{}' }),
      ]),
    )

    expect(await Promise.all(responses.map((response) => response.text()))).toEqual(['theirs', 'theirs', 'theirs'])
    expect(told(scope).wouldPassThrough).toEqual([])
  } finally {
    globalThis.fetch = before
  }
})

describe('in the end', () => {
  /** What the program and the table said. */
  async function shown(program: () => Promise<unknown>): Promise<{ readonly table: string; readonly error: unknown }> {
    const write = vi.spyOn(process.stderr, 'write').mockReturnValue(true)
    try {
      const options = { dryRun: true, store: openMemoryStore(), baseUrls, display: 'log' } as const
      const error: unknown = await batchify(options, program).then(
        () => undefined,
        (error: unknown) => error,
      )
      return { table: write.mock.calls.map(([text]) => String(text)).join(''), error }
    } finally {
      write.mockRestore()
    }
  }

  test('the function form resolves, and the table is on stderr', async () => {
    const { table, error } = await shown(() => Promise.all([ask('a'), ask('b')]))

    expect(error).toBeUndefined()
    expect(table).toContain('dry run: 2 requests in 1 batch; nothing was sent')
    expect(table).toMatch(/openai +\/v1\/chat\/completions +gpt-4o-mini +2 +0 +1 /)
    expect(table).not.toContain('stopped')
  })

  test('a program that makes nothing of a stub is told so by its own error, and was counted up to there', async () => {
    const { table, error } = await shown(async () =>
      JSON.parse((await ask('as JSON')).choices[0]?.message.content ?? ''),
    )

    expect(error).toBeInstanceOf(SyntaxError)
    expect(table).toContain('dry run: 1 request in 1 batch')
    expect(table).toContain(
      `counted up to where it stopped: SyntaxError: ${error instanceof Error ? error.message : ''}`,
    )
  })

  test('those who still wait at the end of a block are refused, and were counted', async () => {
    const scope = await open()
    const refused = scope.run(() => rejection(ask('a')))
    await Promise.resolve()
    await new Promise(setImmediate)
    await scope[Symbol.asyncDispose]()

    expect(await refused).toMatchObject({ status: 499 })
    expect(told(scope)).toMatchObject({
      totals: { requests: 1, batches: 1 },
      stoppedBy: expect.stringContaining('ended before'),
    })
    await expect(scope.run(() => 1)).rejects.toMatchObject({ code: 'scope-closed' })
  })
})
