import { mkdtemp, open, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { digestText, requestDigest } from '../../../src/simulator/digest.ts'
import { createLedgerBook } from '../../../src/simulator/ledger.ts'
import { openLineWriter } from '../../../src/simulator/line-writer.ts'
import { readBlock, readBlocks } from '../../../src/simulator/lines.ts'
import { instanceOf } from '../../../src/core/schema-instance.ts'
import { standingAt, type Timeline } from '../../../src/simulator/timeline.ts'

describe('lines', () => {
  test.each([
    ['many short lines', Array.from({ length: 60_000 }, (_, index) => `line ${index}`)],
    ['a line longer than a block', ['short', 'é'.repeat(400_000), 'short']],
    ['empty lines', ['', 'a', '', 'b']],
    ['nothing', []],
  ])('what is written is read again, block by block: %s', async (_, lines) => {
    const folder = await mkdtemp(join(tmpdir(), 'offpeak-test-'))
    const path = join(folder, 'lines')
    try {
      const writer = await openLineWriter(path)
      for (const line of lines) await writer.write(line)
      const bytes = await writer.close()

      const blocks = await Array.fromAsync(readBlocks(path))
      const again: string[] = []
      const handle = await open(path)
      for (const { ref } of blocks.toReversed()) again.unshift(...(await readBlock(handle, ref)))
      await handle.close()

      expect(blocks.flatMap((block) => block.lines)).toEqual(lines)
      expect(again).toEqual(lines)
      expect(blocks.reduce((sum, { ref }) => sum + ref.bytes, 0)).toBe(bytes)
      for (const [index, { ref }] of blocks.slice(1).entries()) {
        const before = blocks[index]?.ref
        expect(ref.firstLine).toBe((before?.firstLine ?? 0) + (before?.lines ?? 0))
      }
    } finally {
      await rm(folder, { recursive: true })
    }
  })

  test('a last line without a newline is a line', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'offpeak-test-'))
    await writeFile(join(folder, 'lines'), 'a\nb')

    const blocks = await Array.fromAsync(readBlocks(join(folder, 'lines')))
    await rm(folder, { recursive: true })

    expect(blocks.flatMap((block) => block.lines)).toEqual(['a', 'b'])
    expect(blocks.map(({ ref }) => ref.bytes).reduce((sum, bytes) => sum + bytes, 0)).toBe(3)
  })
})

describe('timeline', () => {
  const base: Timeline = {
    createdAt: 0,
    batchMs: 100,
    deadline: 1_000_000,
    validatedAt: 0,
    refused: false,
    rows: 10,
    expireAfterRows: undefined,
    cancelledAt: undefined,
  }

  test.each<[number, Partial<Timeline>, string, number]>([
    [0, {}, 'validating', 0],
    [10, {}, 'in_progress', 0],
    [50, {}, 'in_progress', 5],
    [90, {}, 'finalizing', 10],
    [100, {}, 'completed', 10],
    [99_999, {}, 'completed', 10],
    [9, { refused: true }, 'validating', 0],
    [10, { refused: true }, 'failed', 0],
    [50, { validatedAt: 40 }, 'in_progress', 1],
    [500, { validatedAt: Infinity }, 'validating', 0],
    [55, { cancelledAt: 50 }, 'cancelling', 5],
    [60, { cancelledAt: 50 }, 'cancelled', 5],
    [60, { cancelledAt: 5 }, 'cancelled', 0],
    [60, { cancelledAt: 5, refused: true }, 'cancelled', 0],
    [50, { deadline: 50 }, 'expired', 5],
    [500, { deadline: 50 }, 'expired', 5],
    [500, { deadline: 5 }, 'expired', 0],
    [90, { expireAfterRows: 3 }, 'finalizing', 3],
    [100, { expireAfterRows: 3 }, 'expired', 3],
    [0, { batchMs: 0 }, 'completed', 10],
  ])('at %i ms, %j: %s after %i rows', (now, change, phase, executed) => {
    const standing = standingAt({ ...base, ...change }, now)

    expect(standing).toMatchObject({ phase, executed })
    expect(standing.entered[standing.phase]).toBeLessThanOrEqual(now)
  })
})

describe('schema instances', () => {
  test.each<[string, unknown, unknown]>([
    ['constants', { const: 7 }, 7],
    ['the first of an enumeration', { enum: ['b', 'a'] }, 'b'],
    ['the first alternative', { anyOf: [{ type: 'integer', minimum: 3 }, { type: 'null' }] }, 3],
    [
      'required properties only',
      { type: 'object', properties: { a: { type: 'boolean' }, b: {} }, required: ['a'] },
      { a: true },
    ],
    ['as many items as there must be', { type: 'array', items: { type: 'number' }, minItems: 2 }, [0, 0]],
    ['tuples', { type: 'array', prefixItems: [{ type: 'string' }, { type: 'null' }] }, ['text', null]],
    ['strings long enough', { type: 'string', minLength: 6 }, 'text..'],
    ['strings short enough', { type: 'string', maxLength: 2 }, 'te'],
    ['formats', { type: 'string', format: 'date' }, '2026-01-01'],
    ['numbers above a bound', { type: 'integer', exclusiveMinimum: 4 }, 5],
    ['numbers below a bound', { type: 'integer', exclusiveMaximum: -4 }, -5],
    ['multiples', { type: 'integer', minimum: 5, multipleOf: 4 }, 8],
    ['several types', { type: ['string', 'null'] }, 'text'],
    [
      'references',
      { $defs: { A: { const: 1 } }, type: 'object', properties: { a: { $ref: '#/$defs/A' } }, required: ['a'] },
      { a: 1 },
    ],
    [
      'everything of allOf',
      {
        allOf: [
          { type: 'object', properties: { a: { const: 1 } }, required: ['a'] },
          { properties: { b: { const: 2 } }, required: ['b'] },
        ],
      },
      { a: 1, b: 2 },
    ],
  ])('%s', (_, schema, instance) => {
    expect(instanceOf(schema, 'text')).toEqual(instance)
  })

  test('a schema that contains itself ends where it may', () => {
    const node = {
      type: 'object',
      properties: { next: { anyOf: [{ $ref: '#' }, { type: 'null' }] } },
      required: ['next'],
    }

    const text = JSON.stringify(instanceOf(node, 'text'))

    expect(text).toMatch(/^(\{"next":)+null\}+$/)
  })
})

describe('ledger', () => {
  test('every execution of a hundred thousand requests is counted, and those of two accounts apart', () => {
    const book = createLedgerBook()
    const describe = (): { model: string; prompt: string } => ({ model: 'm', prompt: 'p' })
    const execute = (index: number, hash: string, way: 'live' | 'batch'): void => {
      const account = { provider: 'openai', hash }
      book.executed({ way, account, endpoint: '/x', digest: digestText(`request ${index}`), describe })
    }

    for (let index = 0; index < 100_000; index++) execute(index, 'one', 'batch')
    for (let index = 0; index < 1000; index++) execute(index, 'two', 'batch')
    for (let index = 0; index < 10; index++) execute(index, 'one', 'live')

    const ledger = book.read()
    expect(ledger.executions).toEqual({ live: 10, batch: 101_000, distinct: 101_000, repeated: 10 })
    expect(ledger.requests).toHaveLength(10_000)
    expect(ledger.requests.filter(({ live, batch }) => live === 1 && batch === 1)).toHaveLength(10)
    expect(ledger.accounts.map(({ account, live, batch }) => [account, live, batch])).toEqual([
      ['one', 10, 100_000],
      ['two', 0, 1000],
    ])
  })

  test('a digest tells endpoints, bodies and the order of keys apart, and nothing else', () => {
    const digests = [
      requestDigest('/a', { x: 1 }),
      requestDigest('/b', { x: 1 }),
      requestDigest('/a', { x: 2 }),
      requestDigest('/a', { y: 1, x: 1 }),
      requestDigest('/a', { x: 1, y: 1 }),
    ].map(({ high, low }) => `${high}-${low}`)

    expect(new Set(digests).size).toBe(5)
    expect(requestDigest('/a', { x: 1 })).toEqual(requestDigest('/a', { x: 1 }))
  })
})
