/** An upload that ends in the middle is a failure like any other: it is told to whoever waits for it, and to nobody else. */
import { appendFileSync, openAsBlob, writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { setImmediate as turn } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { NetworkError } from '../../src/core/errors.ts'
import { Caller } from '../../src/manager/caller.ts'
import { openai } from '../../src/providers/openai.ts'
import { startSimulator } from '../../src/simulator/index.ts'
import { outcome } from '../support/intercept.ts'
import { httpCall, inputOf, intentFor } from '../support/provider-call.ts'
import { tempFolder } from '../support/store.ts'

/** More than sockets and streams hold on the way. */
const BYTES = 24 * 1024 * 1024
const SOME = 1024 * 1024

interface Listener extends AsyncDisposable {
  readonly baseUrl: string
}

/** A server that does something once it has got some of a request. */
async function listen(onSome: (request: IncomingMessage) => void): Promise<Listener> {
  const server = createServer((request) => {
    let bytes = 0
    request.on('error', () => undefined)
    request.on('data', (chunk: Buffer) => {
      const before = bytes
      bytes += chunk.length
      if (before < SOME && bytes >= SOME) onSome(request)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo // of a TCP server
  return {
    baseUrl: `http://127.0.0.1:${port}/v1`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

/** Uploads a large file and says what came of it. */
async function upload(baseUrl: string, stopping: AbortSignal, path: string): Promise<unknown> {
  const call = new Caller({ fetch, now: Date.now, stopping }).line({ baseUrl, query: '', headers: [] })
  const intent = intentFor(openai)
  const input = { ...inputOf(openai, intent, []), blob: await openAsBlob(path) }
  const result = await outcome(Promise.resolve(openai.upload?.(intent, input, call)))
  return 'error' in result ? result.error : result.value
}

describe('an upload', () => {
  let folder: ReturnType<typeof tempFolder>
  let path: string
  const uncaught: unknown[] = []
  const onUncaught = (error: unknown): void => void uncaught.push(error)

  beforeEach(() => {
    folder = tempFolder()
    path = join(folder.path, 'input.jsonl')
    writeFileSync(path, Buffer.alloc(BYTES, 'x'))
    uncaught.length = 0
    process.on('unhandledRejection', onUncaught)
  })

  afterEach(() => {
    process.off('unhandledRejection', onUncaught)
    folder[Symbol.dispose]()
  })

  test('tells its length beforehand, and fails when its connection is lost in the middle', async () => {
    let length = 0
    await using server = await listen((request) => {
      length = Number(request.headers['content-length'])
      request.socket.resetAndDestroy()
    })

    const error = await upload(server.baseUrl, new AbortController().signal, path)

    expect(error).toBeInstanceOf(NetworkError)
    expect(uncaught).toEqual([])
    expect(length).toBeGreaterThan(BYTES)
  })

  test('that is stopped in the middle fails', async () => {
    const stopping = new AbortController()
    await using server = await listen(() => stopping.abort())

    const error = await upload(server.baseUrl, stopping.signal, path)

    expect(error).toBeInstanceOf(NetworkError)
    expect(uncaught).toEqual([])
  })

  test('that is stopped before any of it has left fails', async () => {
    const stopping = new AbortController()
    await using server = await listen(() => undefined)

    const uploading = upload(server.baseUrl, stopping.signal, path)
    // Its file is open, its body begun.
    for (let turns = 0; turns < 3; turns += 1) await turn()
    stopping.abort()

    expect(await uploading).toBeInstanceOf(NetworkError)
    await turn()
    expect(uncaught).toEqual([])
  })

  test('whose file is changed meanwhile fails', async () => {
    await using server = await listen(() => appendFileSync(path, 'more'))

    const error = await upload(server.baseUrl, new AbortController().signal, path)

    expect(error).toBeInstanceOf(NetworkError)
    expect(uncaught).toEqual([])
  })

  test('that is refused before all of it was read leaves its connection to the next calls', async () => {
    await using simulator = await startSimulator({ limits: { fileBytes: 700 } })
    const call = httpCall(simulator.baseUrl('openai'))
    const refused = inputOf(openai, intentFor(openai), [JSON.stringify('x'.repeat(900))])
    const fitting = inputOf(openai, intentFor(openai), ['{}'])

    const told: unknown[] = []
    for (const input of [refused, fitting, fitting, refused, fitting]) {
      told.push(await outcome(Promise.resolve(openai.upload?.(intentFor(openai), input, call))))
    }

    const file = { value: { fileId: expect.stringMatching(/^file-/) as string } }
    const refusal = { error: { status: 413 } }
    expect(told).toMatchObject([refusal, file, file, refusal, file])
  })

  test('that arrives is what was in the file', async () => {
    await using simulator = await startSimulator()
    const call = httpCall(simulator.baseUrl('openai'))
    const intent = intentFor(openai)
    const input = inputOf(openai, intent, ['{"prompt":"\u2028 ü"}', '{"prompt":"\\"\\r\\n"}'])

    const uploaded = await openai.upload?.(intent, input, call)
    const id = typeof uploaded?.fileId === 'string' ? uploaded.fileId : ''
    const stored = await call.send({ method: 'GET', path: `/files/${id}/content` })
    const about = await call.send({ method: 'GET', path: `/files/${id}` })

    expect(await stored.text()).toBe(await input.blob.text())
    expect(await about.json()).toMatchObject({ filename: input.fileName, purpose: 'batch', bytes: input.bytes })
  })
})
