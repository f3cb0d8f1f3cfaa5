import { describe, expect, test } from 'vitest'
import type { Simulator } from '../../../src/simulator/index.ts'
import { startTestSimulator } from '../../support/simulator.ts'
import { formWith, jsonLines, wireTo, type JsonRow } from './wire.ts'

type Provider = 'groq' | 'together' | 'doubleword' | 'xai'

interface Family {
  readonly model: string
  readonly root: string
  readonly upload: string
  readonly fields: Readonly<Record<string, string>>
  readonly line: (customId: string, body: JsonRow) => JsonRow
  readonly order: (fileId: string) => JsonRow
  readonly idOf: (created: JsonRow | undefined) => unknown
  /** What it says of a batch that was refused for want of room. */
  readonly noRoom: JsonRow
}

const CHAT = '/v1/chat/completions'
const full = (customId: string, body: JsonRow): JsonRow => ({ custom_id: customId, method: 'POST', url: CHAT, body })
const openaiOrder = (fileId: string): JsonRow => ({ input_file_id: fileId, endpoint: CHAT, completion_window: '24h' })

const FAMILY: Readonly<Record<Exclude<Provider, 'doubleword'>, Family>> = {
  groq: {
    model: 'llama-3.1-8b-instant',
    root: '/openai/v1',
    upload: '/files',
    fields: { purpose: 'batch' },
    line: full,
    order: openaiOrder,
    idOf: (created) => created?.['id'],
    noRoom: { status: 'failed', errors: { data: [{ code: 'token_limit_exceeded', line: null }] } },
  },
  together: {
    model: 'meta-llama/Llama-3.3-70B-Instruct-Turbo',
    root: '',
    upload: '/files/upload',
    fields: { purpose: 'batch-api', file_name: 'in.jsonl' },
    line: (customId, body) => ({ custom_id: customId, body }),
    order: openaiOrder,
    idOf: (created) => (created?.['job'] as JsonRow | undefined)?.['id'],
    noRoom: { status: 'FAILED', error: expect.stringContaining('token limit') },
  },
  xai: {
    model: 'grok-4',
    root: '',
    upload: '/files',
    fields: {},
    line: full,
    order: (fileId) => ({ name: 'batch', input_file_id: fileId }),
    idOf: (created) => created?.['batch_id'],
    noRoom: { cancel_by_xai_message: expect.stringContaining('tokens') },
  },
}

async function createBatch(simulator: Simulator, provider: keyof typeof FAMILY, prompt: string): Promise<string> {
  const { model, root, upload, fields, line, order, idOf } = FAMILY[provider]
  const wire = wireTo(simulator, provider)
  const text = jsonLines([line('a', { model, messages: [{ role: 'user', content: prompt }] })])
  const file = await wire('POST', root + upload, formWith(fields, 'in.jsonl', text))
  const created = await wire('POST', `${root}/batches`, order(String(file.json?.['id'])))
  return String(idOf(created.json))
}

describe.each(Object.keys(FAMILY) as (keyof typeof FAMILY)[])('%s', (provider) => {
  const { root, noRoom } = FAMILY[provider]

  test('tokens waiting above the limit refuse a batch later, not at once', async () => {
    await using simulator = await startTestSimulator({ autoAdvance: false, limits: { enqueuedTokens: 10 } })
    const first = await createBatch(simulator, provider, 'a prompt of some twenty-four')
    const second = await createBatch(simulator, provider, 'a prompt of some twenty-four')
    const wire = wireTo(simulator, provider)
    // A look waits until the input has been read.
    const early = await wire('GET', `${root}/batches/${second}`)

    simulator.advance(3000)

    expect(early.json).not.toMatchObject(noRoom)
    expect((await wire('GET', `${root}/batches/${first}`)).json).not.toMatchObject(noRoom)
    expect((await wire('GET', `${root}/batches/${second}`)).json).toMatchObject(noRoom)
    expect(simulator.ledger()).toMatchObject({ executions: { batch: 1 }, batches: { created: 2, failed: 1 } })
  })

  test('a line can be given a status, and a list can be late', async () => {
    await using simulator = await startTestSimulator({
      autoAdvance: false,
      faults: [
        { kind: 'row-status', lines: [1], status: 503 },
        { kind: 'list-lag', ms: 10_000 },
      ],
    })
    const id = await createBatch(simulator, provider, 'hello')
    const wire = wireTo(simulator, provider)
    simulator.advance(3000)

    const early = await wire('GET', `${root}/batches`)
    await wire('GET', `${root}/batches/${id}`)
    simulator.advance(7000)
    const late = await wire('GET', `${root}/batches`)

    expect(early.text).not.toContain(id)
    expect(late.text).toContain(id)
    expect(simulator.ledger()).toMatchObject({ executions: { batch: 0 }, errors: { batch: 1 } })
  })

  test('a call can be answered with a status, in its own envelope, after it has had its effect', async () => {
    await using simulator = await startTestSimulator({
      faults: [{ kind: 'status', operation: 'create', status: 500, moment: 'after', times: 1 }],
    })
    const wire = wireTo(simulator, provider)

    await createBatch(simulator, provider, 'hello')
    simulator.fault({ kind: 'status', operation: 'poll', status: 429, retryAfter: 7 })
    const poll = await wire('GET', `${root}/batches/none`)

    expect(simulator.ledger().batches.created).toBe(1)
    expect(poll.status).toBe(429)
    expect(poll.headers.get('retry-after')).toBe('7')
    expect(poll.json).toHaveProperty('error')
  })
})
