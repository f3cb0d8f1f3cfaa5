import { createHash } from 'node:crypto'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { Simulator } from '../../../src/simulator/index.ts'
import { startTestSimulator } from '../../support/simulator.ts'
import {
  bodyOf,
  call,
  clientFor,
  createFromFile,
  linesOf,
  MODEL,
  rowsOf,
  untilEnded,
  uploadText,
  type Answered,
} from './gemini-client.ts'

const HOUR = 60 * 60 * 1000

/** Names a file, and returns where its bytes go. */
async function start(simulator: Simulator, bytes: number | undefined, file: object = {}): Promise<string> {
  const { headers } = await call(simulator, 'POST', '/upload/v1beta/files', {
    headers: {
      'x-goog-upload-protocol': 'resumable',
      'x-goog-upload-command': 'start',
      'x-goog-upload-header-content-type': 'application/jsonl',
      ...(bytes === undefined ? {} : { 'x-goog-upload-header-content-length': String(bytes) }),
    },
    body: { file },
  })
  return String(headers.get('x-goog-upload-url'))
}

/** Sends bytes as anybody would who has the address: without a key. */
async function send(url: string, command: string, offset: number, text?: string): Promise<Answered> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'x-goog-upload-command': command, 'x-goog-upload-offset': String(offset) },
    ...(text === undefined ? {} : { body: text }),
  })
  return { status: response.status, headers: response.headers, body: await response.json() }
}

test('an uploaded file is found again, with its size, its hash and its end in 48 hours', async () => {
  await using simulator = await startTestSimulator({ startsAt: Date.parse('2026-11-20T10:00:00Z') })
  const { files } = clientFor(simulator)

  const config = { mimeType: 'application/jsonl', displayName: 'mine' }
  const uploaded = await files.upload({ file: new Blob(['some text']), config })
  const got = await files.get({ name: String(uploaded.name) })

  expect(got).toEqual(uploaded)
  expect(got).toEqual({
    name: expect.stringMatching(/^files\/[a-z0-9]{12}$/),
    displayName: 'mine',
    mimeType: 'application/jsonl',
    sizeBytes: '9',
    createTime: '2026-11-20T10:00:00Z',
    updateTime: '2026-11-20T10:00:00Z',
    expirationTime: '2026-11-22T10:00:00Z',
    sha256Hash: Buffer.from(createHash('sha256').update('some text').digest('hex')).toString('base64'),
    uri: `${simulator.baseUrl('gemini')}/v1beta/${got.name}`,
    state: 'ACTIVE',
    source: 'UPLOADED',
  })
})

test('a file of several pieces is put together, as the SDK sends it', async () => {
  await using simulator = await startTestSimulator()
  const client = clientFor(simulator)
  const lines = linesOf(bodyOf('x'.repeat(9_000_000)), bodyOf('b'))

  const { name = '' } = await createFromFile(client, lines)
  const rows = await rowsOf(simulator, await untilEnded(client, { name }))

  expect(rows.map(({ key }) => key).toSorted()).toEqual(['r1', 'r2'])
  expect(simulator.ledger().calls.upload).toBe(3)
})

test('pieces go where no key is needed, each at its offset', async () => {
  await using simulator = await startTestSimulator()
  const url = await start(simulator, 6, { display_name: 'in pieces' })

  const first = await send(url, 'upload', 0, 'abc')
  const gap = await send(url, 'upload', 4, 'x')
  const asked = await send(url, 'query', 0)
  const last = await send(url, 'upload, finalize', 3, 'def')
  const again = await send(url, 'upload, finalize', 6, 'ghi')

  expect(first.headers.get('x-goog-upload-status')).toBe('active')
  expect(gap).toMatchObject({ status: 400, body: { error: { message: expect.stringContaining('at byte 3') } } })
  expect(asked.headers.get('x-goog-upload-size-received')).toBe('3')
  expect(last).toMatchObject({ status: 200, body: { file: { displayName: 'in pieces', sizeBytes: '6' } } })
  expect(last.headers.get('x-goog-upload-status')).toBe('final')
  expect(again.status).toBe(403)
})

test('an upload that is given up is nobody’s file', async () => {
  await using simulator = await startTestSimulator()
  const url = await start(simulator, undefined)
  await send(url, 'upload', 0, 'abc')

  const cancelled = await send(url, 'cancel', 0)

  expect(cancelled.headers.get('x-goog-upload-status')).toBe('cancelled')
  expect((await send(url, 'upload, finalize', 3, 'def')).status).toBe(403)
  expect((await clientFor(simulator).files.list()).page).toEqual([])
})

test('an upload must be as long as announced, and not too long', async () => {
  await using simulator = await startTestSimulator({ limits: { fileBytes: 10 } })
  const short = await start(simulator, 5)
  const unannounced = await start(simulator, undefined)

  const answers = [
    await send(short, 'upload, finalize', 0, 'abc'),
    await send(unannounced, 'upload, finalize', 0, 'abcdefghijklmnop'),
  ]

  expect(answers.map(({ status }) => status)).toEqual([400, 400])
  await expect(uploadText(clientFor(simulator), 'abcdefghijklmnop')).rejects.toMatchObject({ status: 400 })
})

test('a file may have a name of the caller’s own, once', async () => {
  await using simulator = await startTestSimulator()
  const { files } = clientFor(simulator)
  const upload = async (name: string, apiKey = 'AIza-test'): Promise<string | undefined> => {
    const config = { mimeType: 'application/jsonl', name }
    return (await clientFor(simulator, { apiKey }).files.upload({ file: new Blob(['a']), config })).name
  }

  expect(await upload('my-input')).toBe('files/my-input')
  expect(await upload('my-input', 'AIza-other')).toBe('files/my-input')
  await expect(upload('my-input')).rejects.toMatchObject({ status: 409 })
  await expect(upload('My_Input')).rejects.toMatchObject({ status: 400 })
  expect((await files.list()).page).toHaveLength(1)
})

test('files are listed newest first, page by page', async () => {
  await using simulator = await startTestSimulator()
  const client = clientFor(simulator)
  for (const name of ['first', 'second', 'third']) await uploadText(client, 'a', name)

  const names = []
  for await (const file of await client.files.list({ config: { pageSize: 2 } })) names.push(file.displayName)

  expect(names).toEqual(['third', 'second', 'first'])
  expect((await call(simulator, 'GET', '/v1/files?pageToken=else')).status).toBe(400)
  expect((await call(simulator, 'GET', '/v1/files?pageSize=-1')).status).toBe(400)
})

test('a file is deleted, and is gone by itself after 48 hours', async () => {
  await using simulator = await startTestSimulator()
  const client = clientFor(simulator)
  const [deleted, left] = [await uploadText(client, 'a'), await uploadText(client, 'b')]

  await client.files.delete({ name: deleted })
  const before = (await client.files.list()).page.map(({ name }) => name)
  simulator.advance(48 * HOUR)

  expect(before).toEqual([left])
  await expect(client.files.get({ name: left })).rejects.toMatchObject({ status: 403 })
  expect((await call(simulator, 'GET', '/v1beta/files')).body).toEqual({})
})

test('results are downloaded, by the SDK and by address; uploads and inline results are not', async () => {
  await using simulator = await startTestSimulator()
  const folder = await mkdtemp(join(tmpdir(), 'offpeak-test-'))
  try {
    const client = clientFor(simulator)
    const input = await uploadText(client, linesOf(bodyOf('a')))
    const batch = await untilEnded(client, await client.batches.create({ model: MODEL, src: { fileName: input } }))
    const name = String(batch.dest?.fileName)
    await untilEnded(client, await client.batches.create({ model: MODEL, src: [{ contents: 'a' }] }))

    const path = join(folder, 'results.jsonl')
    await client.files.download({ file: name, downloadPath: path })
    const text = await readFile(path, 'utf8')
    const listed = (await client.files.list()).page

    expect(JSON.parse(text)).toMatchObject({ key: 'r1', response: {} })
    expect(text).toBe(`${JSON.stringify((await rowsOf(simulator, batch))[0])}\n`)
    expect(listed.map(({ source }) => source)).toEqual(['GENERATED', 'UPLOADED'])
    expect(listed[0]).toMatchObject({ name, downloadUri: expect.stringContaining(`${name}:download?alt=media`) })
    expect((await call(simulator, 'GET', `/v1/${input}:download?alt=media`)).status).toBe(400)
    expect((await call(simulator, 'GET', `/v1/${name}:download`)).status).toBe(400)
  } finally {
    await rm(folder, { recursive: true })
  }
})

test('nobody sees what is somebody else’s', async () => {
  await using simulator = await startTestSimulator()
  const name = await uploadText(clientFor(simulator), linesOf(bodyOf('a')))
  const other = clientFor(simulator, { apiKey: 'AIza-other' })

  await expect(other.files.get({ name })).rejects.toMatchObject({
    status: 403,
    message: expect.stringContaining('it may not exist'),
  })
  await expect(other.files.delete({ name })).rejects.toMatchObject({ status: 403 })
  await expect(other.batches.create({ model: MODEL, src: { fileName: name } })).rejects.toMatchObject({ status: 404 })
})

test.each([
  ['another protocol', { 'x-goog-upload-protocol': 'multipart' }, {}],
  ['no command', { 'x-goog-upload-protocol': 'resumable' }, {}],
  [
    'an unknown field',
    { 'x-goog-upload-protocol': 'resumable', 'x-goog-upload-command': 'start' },
    { file: { size: 3 } },
  ],
  ['no JSON', { 'x-goog-upload-protocol': 'resumable', 'x-goog-upload-command': 'start' }, '['],
])('an upload with %s does not start', async (_, headers, body) => {
  await using simulator = await startTestSimulator()

  const answer = await call(simulator, 'POST', '/upload/v1beta/files', { headers, body })

  expect(answer).toMatchObject({ status: 400, body: { error: { status: 'INVALID_ARGUMENT' } } })
  expect(answer.headers.get('x-goog-upload-url')).toBeNull()
})
