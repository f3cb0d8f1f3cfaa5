import Sqlite from 'better-sqlite3'
import { mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { JobTarget } from '../../../src/core/store.ts'
import { openStoredAnswers } from '../../../src/store/stored-answers.ts'
import { tempFolder, tempStore } from '../../support/store.ts'

const target: JobTarget = {
  provider: 'openai',
  baseUrl: 'https://api.openai.com/v1',
  endpoint: '/v1/responses',
  model: 'gpt-5',
  account: 'account-1',
  queueKey: 'queue-1',
}
const job = { target, fingerprint: 'fingerprint', occurrence: 1, body: '{}' }

test('a store that does not exist answers nothing, and is not made', () => {
  using folder = tempFolder()
  using answers = openStoredAnswers(join(folder.path, 'state', 'store.db'))

  expect(answers.peek(job, 0, 0)).toBeUndefined()
  expect(answers.learned()).toEqual([])
  expect(answers.salt).toHaveLength(32)
  expect(readdirSync(folder.path)).toEqual([])
})

test('an empty file, which a first run would fill, answers nothing and stays empty', () => {
  using folder = tempFolder()
  const path = join(folder.path, 'store.db')
  writeFileSync(path, '')
  using answers = openStoredAnswers(path)

  expect(answers.peek(job, 0, 0)).toBeUndefined()
  expect(statSync(path).size).toBe(0)
})

test('a store is looked into as it was left, also while somebody else writes to it, and its files stay as they are', () => {
  using temp = tempStore()
  const { store, path, folder } = temp
  const owner = store.enter({ pid: 1, leaseUntil: 10 }, 0)
  const [placed] = store.enqueue(owner, [job], 0)
  const intent = store.claim(owner, { tag: 'tag000000000', target, window: '24h', metadata: {} }, [placed?.job ?? 0], 0)
  if (!intent) throw new Error('nothing was claimed')
  using answers = openStoredAnswers(path)
  const before = answers.peek(job, 0, 0)

  store.settle(intent, [{ job: placed?.job ?? 0, status: 200, requestId: undefined, body: '{"a":1}' }], 0)
  const files = readdirSync(folder).map((name) => [name, statSync(join(folder, name)).size])
  const after = answers.peek(job, 0, 0)

  expect(before).toMatchObject({ kind: 'waiting' })
  expect(after).toMatchObject({ kind: 'answered', answer: { body: '{"a":1}' } })
  expect(answers.salt).toEqual(store.salt)
  expect(readdirSync(folder).map((name) => [name, statSync(join(folder, name)).size])).toEqual(files)
})

test('what earlier answers have taught is there to be read; of a store that knew of no such thing, nothing', () => {
  using temp = tempStore()
  const learned = [{ provider: 'openai', endpoint: '/v1/responses', model: 'gpt-5', state: '{}' }]
  temp.store.keepLearned(learned)

  using answers = openStoredAnswers(temp.path)
  expect(answers.learned()).toEqual(learned)

  const older = new Sqlite(temp.path)
  older.exec('DROP TABLE learned')
  older.close()
  using without = openStoredAnswers(temp.path)
  expect(without.learned()).toEqual([])
})

test("somebody else's file is refused, in words", () => {
  using folder = tempFolder()
  const path = join(folder.path, 'notes.txt')
  writeFileSync(path, 'not a database, and longer than nothing'.repeat(100))

  expect(() => openStoredAnswers(path)).toThrow(/notes\.txt/)
})

test('a folder is no store', () => {
  using folder = tempFolder()
  mkdirSync(join(folder.path, 'store.db'))

  expect(() => openStoredAnswers(join(folder.path, 'store.db'))).toThrow(/store\.db/)
})
