import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { spawnSync } from 'node:child_process'
import { describe, expect, test } from 'vitest'
import type { Intent } from '../../../src/core/batch.ts'
import { spool, sweepSpool } from '../../../src/manager/spool.ts'
import { openai } from '../../../src/providers/openai.ts'
import { tempStore, type TempStore } from '../../support/store.ts'

const target = {
  provider: 'openai',
  baseUrl: 'https://api.openai.com/v1',
  endpoint: '/v1/responses',
  model: 'm',
  account: 'a',
  queueKey: 'q',
}

function claimed({ store }: TempStore, bodies: readonly string[]): Intent {
  const owner = store.enter({ pid: 1, leaseUntil: 1000 }, 0)
  const placed = store.enqueue(
    owner,
    bodies.map((body, index) => ({ target, fingerprint: `f${index}`, occurrence: 1, body })),
    0,
  )
  const intent = store.claim(
    owner,
    { tag: 'abcdefabcdef', target, window: '24h', metadata: {} },
    placed.map(({ job }) => job),
    0,
  )
  if (!intent) throw new Error('nothing was claimed')
  return intent
}

const spoolFolder = ({ folder }: TempStore): string => join(folder, 'spool')

describe('the spool of a batch', () => {
  test('is a private file of one line for each job, named after the intent', async () => {
    using temp = tempStore()
    const intent = claimed(temp, ['{"a":1}', '{"b":\n2}'])

    await using spooled = await spool(temp.store, openai, intent)

    const [folder = ''] = readdirSync(spoolFolder(temp))
    const path = join(spoolFolder(temp), folder, 'abcdefabcdef.jsonl')
    const text = readFileSync(path, 'utf8')
    expect(spooled.input).toMatchObject({ jobs: 2, bytes: Buffer.byteLength(text), fileName: 'abcdefabcdef.jsonl' })
    expect(await spooled.input.blob.text()).toBe(text)
    expect(text.split('\n')).toHaveLength(3)
    expect(statSync(path).mode & 0o777).toBe(0o600)
    expect(statSync(join(spoolFolder(temp), folder)).mode & 0o777).toBe(0o700)
  })

  test('holds every line, in order, however many there are', async () => {
    using temp = tempStore()
    const bodies = Array.from({ length: 3000 }, (_, index) => JSON.stringify({ index, text: 'ä'.repeat(300) }))
    const intent = claimed(temp, bodies)

    await using spooled = await spool(temp.store, openai, intent)

    const lines = (await spooled.input.blob.text()).trimEnd().split('\n')
    const document = await (await spooled.input.document('{"requests":[', ']}')).text()
    expect(lines.map((line) => (JSON.parse(line) as { body: { index: number } }).body.index)).toEqual(
      bodies.map((_, index) => index),
    )
    expect(document).toBe(`{"requests":[${lines.join(',')}]}`)
    expect(spooled.input.bytes).toBe(spooled.input.blob.size)
  })

  test('is gone when it is disposed', async () => {
    using temp = tempStore()
    const spooled = await spool(temp.store, openai, claimed(temp, ['{}']))

    await spooled[Symbol.asyncDispose]()

    expect(readdirSync(spoolFolder(temp))).toEqual([])
  })

  test('is gone when writing it fails', async () => {
    using temp = tempStore()
    const intent = claimed(temp, ['{}'])
    const failing = {
      ...openai,
      line: (): string => {
        throw new Error('no line')
      },
    }

    await expect(spool(temp.store, failing, intent)).rejects.toThrow('no line')

    expect(readdirSync(spoolFolder(temp))).toEqual([])
  })
})

describe('what a process left in the spool', () => {
  test('is removed once it is gone, and not before', async () => {
    using temp = tempStore()
    const { pid: gone } = spawnSync(process.execPath, ['--version'])
    const names = [`${gone}-abcdef`, `${process.pid}-abcdef`, 'notes', '12x-abcdef']
    for (const name of names) {
      mkdirSync(join(spoolFolder(temp), name), { recursive: true })
      writeFileSync(join(spoolFolder(temp), name, 'x.jsonl'), '{}')
    }

    await sweepSpool(temp.store)

    expect(readdirSync(spoolFolder(temp)).sort()).toEqual(names.slice(1).sort())
  })

  test('is nothing to worry about when there is no spool', async () => {
    using temp = tempStore()

    await sweepSpool(temp.store)

    expect(existsSync(spoolFolder(temp))).toBe(false)
  })
})
