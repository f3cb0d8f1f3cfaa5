import Sqlite from 'better-sqlite3'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  chownSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { batchify } from '../../src/batchify.ts'
import { masked } from '../../src/cli/doctor/provider.ts'
import type { BatchScope } from '../../src/create.ts'
import { openSqliteStore } from '../../src/store/sqlite-store.ts'
import { cli } from '../support/cli.ts'
import { startTestSimulator } from '../support/simulator.ts'
import { tempFolder } from '../support/store.ts'
import * as scene from '../unit/store/repair-scene.ts'

interface Found {
  readonly status: string
  readonly what: string
  readonly says: string
  readonly next?: string
}

const KEY = 'sk-canary-0123456789abcdefghijklmnopqrstuvwxyz01'

let folder: ReturnType<typeof tempFolder>
let path: string

beforeEach(() => {
  folder = tempFolder()
  path = join(folder.path, 'store.db')
  vi.stubEnv('OPENAI_API_KEY', '')
  vi.stubEnv('OPENAI_BASE_URL', '')
})
afterEach(() => {
  vi.unstubAllEnvs()
  folder[Symbol.dispose]()
})

/** Runs the doctor for the store of the test. */
async function look(...args: string[]): Promise<{ code: number; findings: readonly Found[]; text: string }> {
  const { code, stdout, stderr } = await cli(['doctor', '--store', path, '--json', ...args])
  expect(stderr).toBe('')
  const { findings } = JSON.parse(stdout) as { findings: Found[] }
  return { code, findings, text: stdout }
}

const about = (findings: readonly Found[], what: string): readonly Found[] =>
  findings.filter((each) => each.what === what)

const finding = (status: string, what: string, says: RegExp | string, next?: RegExp | string): Found =>
  expect.objectContaining({
    status,
    what,
    says: expect.stringMatching(says),
    ...(next === undefined ? {} : { next: expect.stringMatching(next) }),
  })

describe('the doctor', () => {
  test('finds nothing bad where no store is yet, and makes none', async () => {
    vi.stubEnv('OFFPEAK_HOME', join(folder.path, 'home'))

    const { code, stdout, stderr } = await cli(['doctor'])

    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).toMatch(/^ok {4}offpeak {2}\d+\.\d+\.\d+$/m)
    expect(stdout).toMatch(/^ok {4}node {5}Node \d+\.\d+\.\d+ \(22\.19 or newer is needed\)$/m)
    expect(stdout).toMatch(/^ok {4}store {4}there is none at .*home\/store\.db yet/m)
    expect(stdout).toMatch(/^warn {2}key {6}none of OPENAI_API_KEY, .* is set — /m)
    expect(existsSync(join(folder.path, 'home'))).toBe(false)
  })

  test('looks at a store without changing a byte, and tells who holds what is unfinished', async () => {
    const now = Date.now()
    const store = openSqliteStore({ path })
    const owner = store.enter({ pid: process.pid, leaseUntil: now + 60_000 }, now)
    const gone = store.enter({ pid: 1, leaseUntil: now - 60_000 }, now)
    const claim = (holder: number, tag: string, first: number, state: 'created' | 'creating'): void => {
      const jobs = [1, 2, 3].map((n) => scene.newJob(first + n))
      const ids = store.enqueue(holder, jobs, now - 3_600_000).map(({ job }) => job)
      const target = jobs[0]?.target ?? scene.newJob(1).target
      const intent = store.claim(holder, { tag, target, window: '24h', metadata: {} }, ids, now - 3_600_000)
      if (!intent) throw new Error('nothing was claimed')
      store.advance(intent, state === 'created' ? { state, handle: { id: 'batch_7' } } : { state })
    }
    claim(owner, 'aaaaaaaaaaaa', 100, 'created')
    claim(gone, 'bbbbbbbbbbbb', 200, 'creating')
    store[Symbol.dispose]()
    const before = readFileSync(path)

    const { code, findings } = await look()

    expect(code).toBe(0)
    expect(findings).toEqual(
      expect.arrayContaining([
        finding('ok', 'folder', `${folder.path} \\(0700, `),
        finding('ok', 'file', `${path} \\(0600, `),
        finding('ok', 'room', /free$/),
        finding('ok', 'schema', /^version \d+$/),
        finding('ok', 'log', /^empty/),
        finding('ok', 'integrity', 'nothing found'),
        finding('ok', 'jobs', '^0 answered, 0 failed, 6 submitted, 0 queued, 0 dropped$'),
        finding(
          'ok',
          'batch',
          `aaaaaaaaaaaa \\(batch_7\\): openai one, 3 jobs, with the provider, 1h 00m old, in the hands of process ${process.pid}`,
        ),
        finding(
          'warn',
          'batch',
          /bbbbbbbbbbbb: openai one, 3 jobs, perhaps created, 1h 00m old, in nobody's hands/,
          'looks for the batch before it sends anything',
        ),
      ]),
    )
    expect(readFileSync(path).equals(before)).toBe(true)
    expect(readdirSync(folder.path)).toEqual(['store.db'])
  })

  test('leaves the log of a process that was killed where it is', async () => {
    const live = join(folder.path, 'live.db')
    using store = openSqliteStore({ path: live })
    store.enqueue(store.enter({ pid: 1, leaseUntil: 0 }, 0), [scene.newJob(1)], 0)
    scene.copyFiles(live, path)
    const log = readFileSync(`${path}-wal`)

    const { code, findings } = await look()

    expect(code).toBe(0)
    expect(about(findings, 'log')).toEqual([finding('ok', 'log', /KB, \d+ pages not in the file yet$/)])
    expect(about(findings, 'jobs')).toEqual([finding('ok', 'jobs', /1 queued/)])
    expect(readFileSync(`${path}-wal`).equals(log)).toBe(true)
  })

  test('names a log that was cut', async () => {
    const live = join(folder.path, 'live.db')
    using store = openSqliteStore({ path: live })
    store.enqueue(store.enter({ pid: 1, leaseUntil: 0 }, 0), [scene.newJob(1)], 0)
    scene.copyFiles(live, path)
    scene.cutTo(`${path}-wal`, readFileSync(`${path}-wal`).length - 100)

    expect(about((await look()).findings, 'log')).toEqual([finding('warn', 'log', 'ends in the middle of a write')])
  })

  test('says so when a newer offpeak wrote the store, or another program', async () => {
    openSqliteStore({ path })[Symbol.dispose]()
    const database = new Sqlite(path)
    database.pragma('user_version = 99')
    database.close()
    const newer = await look()
    writeFileSync(path, 'Dear diary, '.repeat(1000))
    const foreign = await look()

    expect(newer.code).toBe(1)
    expect(about(newer.findings, 'schema')).toEqual([finding('bad', 'schema', /^version 99, and/, 'upgrade offpeak')])
    expect(foreign.code).toBe(1)
    expect(about(foreign.findings, 'schema')).toEqual([finding('bad', 'schema', 'not an offpeak store', 'left alone')])
    expect(readFileSync(path, 'utf8')).toMatch(/^Dear diary/)
  })

  test('says so when another process keeps the store locked', async () => {
    openSqliteStore({ path })[Symbol.dispose]()
    const other = new Sqlite(path)
    other.pragma('locking_mode = EXCLUSIVE')
    other.exec('BEGIN IMMEDIATE; UPDATE counters SET next = next; COMMIT')

    const { code, findings } = await look('--wait', '1s')
    other.close()

    expect(code).toBe(1)
    expect(about(findings, 'lock')).toEqual([finding('bad', 'lock', 'locked', 'end that process')])
  })

  test('says so when others could exchange or read the store, and does not open it there', async () => {
    openSqliteStore({ path })[Symbol.dispose]()
    chmodSync(path, 0o644)
    const readable = await look()
    chmodSync(folder.path, 0o777)
    const writable = await look()

    expect(readable.code).toBe(0)
    expect(about(readable.findings, 'file')).toEqual([finding('warn', 'file', 'others may read', 'chmod 600')])
    expect(writable.code).toBe(1)
    expect(about(writable.findings, 'folder')).toEqual([
      finding('bad', 'folder', 'others may write', 'folder of its own'),
    ])
    expect(about(writable.findings, 'store')).toEqual([finding('warn', 'store', 'was not opened')])
  })

  // Only root can give a file away.
  test.runIf(process.getuid?.() === 0)('says whose the store is when it is not ours, and leaves it alone', async () => {
    openSqliteStore({ path })[Symbol.dispose]()
    chownSync(path, 65_534, 65_534)

    const { code, findings } = await look()

    expect(code).toBe(1)
    expect(about(findings, 'file')).toEqual([finding('bad', 'file', 'belongs to user 65534, and you are 0', '--store')])
    expect(readdirSync(folder.path)).toEqual(['store.db'])
  })

  test('finds what uploads that broke off have left', async () => {
    openSqliteStore({ path })[Symbol.dispose]()
    // No process has this number: it is beyond the largest there can be.
    const left = join(folder.path, 'spool', '4194305-abc')
    mkdirSync(left, { recursive: true })
    mkdirSync(join(folder.path, 'spool', `${process.pid}-abc`))

    expect(about((await look()).findings, 'spool')).toEqual([
      {
        status: 'warn',
        what: 'spool',
        says: expect.stringContaining(`1 folder of uploads that broke off`),
        next: expect.anything(),
      },
    ])
  })

  test.each([
    [['doctor', 'now'], 'offpeak doctor takes no arguments, and was given "now"'],
    [['doctor', '--repare'], 'unknown option --repare, did you mean --repair?'],
  ])('%j: %s', async (args, message) => {
    expect(await cli(args)).toEqual({
      code: 2,
      stdout: '',
      stderr: `offpeak: ${message}\nTry: offpeak doctor --help\n`,
    })
  })
})

describe('keys and clocks', () => {
  test.each([
    ['sk-1234567890abcdef', 'set'],
    ['sk-1234567890abcdefg', 'sk-…fg'],
    ['x', 'set'],
  ])('%s is shown as %s', (key, shown) => {
    expect(masked(key)).toBe(shown)
  })

  /** A provider whose clock is off by so much. */
  async function providerAt(offMs: number, status = 200): Promise<AsyncDisposable & { asked: string[] }> {
    const asked: string[] = []
    const server = createServer((request, response) => {
      asked.push(`${request.method} ${request.url} ${request.headers.authorization}`)
      response.writeHead(status, { date: new Date(Date.now() + offMs).toUTCString() }).end('{}')
    })
    await once(server.listen(0, '127.0.0.1'), 'listening')
    const address = server.address()
    const port = typeof address === 'object' ? address?.port : undefined
    vi.stubEnv('OPENAI_API_KEY', KEY)
    vi.stubEnv('OPENAI_BASE_URL', `http://127.0.0.1:${port}/v1`)
    return {
      asked,
      async [Symbol.asyncDispose]() {
        server.closeAllConnections()
        await new Promise((resolve) => server.close(resolve))
      },
    }
  }

  test.each([
    [0, 'ok', 'the same as that of openai'],
    [60_000, 'warn', /^(59s|1m 00s) behind openai$/],
    [-3_600_000, 'bad', /^(59m 59s|1h 00m) ahead of openai$/],
  ])('a clock that is off by %i ms is %s', async (offMs, status, says) => {
    await using provider = await providerAt(offMs)

    const { code, findings, text } = await look()

    expect(about(findings, 'clock')).toEqual([finding(status, 'clock', says)])
    expect(code).toBe(status === 'bad' ? 1 : 0)
    expect(provider.asked).toEqual([`GET /v1/models Bearer ${KEY}`])
    expect(about(findings, 'key')).toEqual([finding('ok', 'key', '^OPENAI_API_KEY sk-…01$')])
    expect(text).not.toContain(KEY.slice(0, 12))
  })

  test('a key that is refused is named, and the clocks are compared all the same', async () => {
    await using _provider = await providerAt(0, 401)

    const { code, findings } = await look()

    expect(code).toBe(0)
    expect(about(findings, 'key')).toContainEqual(
      finding('warn', 'key', 'refuses the key \\(HTTP 401\\)', 'OPENAI_API_KEY'),
    )
    expect(about(findings, 'clock')).toEqual([finding('ok', 'clock', 'the same')])
  })

  test('a provider that cannot be reached is no error', async () => {
    vi.stubEnv('OPENAI_API_KEY', KEY)
    vi.stubEnv('OPENAI_BASE_URL', 'http://127.0.0.1:9/v1')

    const { code, findings } = await look()

    expect(code).toBe(0)
    expect(about(findings, 'clock')).toEqual([finding('ok', 'clock', 'not compared: openai cannot be reached')])
  })
})

describe('a damaged store', () => {
  let original: ReturnType<typeof tempFolder>

  beforeAll(() => {
    original = tempFolder()
    using store = openSqliteStore({ path: join(original.path, 'store.db') })
    scene.fill(store)
  })
  afterAll(() => original[Symbol.dispose]())
  beforeEach(() => copyFileSync(join(original.path, 'store.db'), path))

  const damages: Readonly<Record<string, () => void>> = {
    'pages overwritten in its middle': () =>
      scene.overwritePages(
        path,
        scene.pagesWhere(path, (_, number) => number >= 60 && number < 70),
      ),
    'its file cut in half': () => scene.cutTo(path, Math.floor(readFileSync(path).length / 2)),
    'its header zeroed': () => scene.damage(path, (bytes) => bytes.fill(0, 0, 100)),
    'a log that is not a log': () => writeFileSync(`${path}-wal`, Buffer.alloc(8192)),
  }

  test.each(Object.keys(damages))('with %s is named, left alone, and rebuilt on request', async (kind) => {
    damages[kind]?.()
    const before = readFileSync(path)

    const seen = await look()
    const untouched = readFileSync(path).equals(before)
    const repaired = await look('--repair')
    const after = await look()

    expect(seen.code).toBe(1)
    expect(about(seen.findings, 'integrity')[0]).toEqual(
      finding('bad', 'integrity', /./, `offpeak doctor --repair --store ${path}`),
    )
    expect(untouched).toBe(true)
    expect(repaired.code).toBe(0)
    const [aside] = about(repaired.findings, 'set aside')
    expect(readFileSync(aside?.says.split(', ')[0] ?? '').equals(before)).toBe(true)
    expect(about(repaired.findings, 'rebuilt')).toEqual([
      finding('ok', 'rebuilt', /^[\d,]+ jobs with [\d,]+ answers, [123] batches$/),
    ])
    expect(after.code).toBe(0)
    expect(about(after.findings, 'set aside')).toEqual([finding('warn', 'set aside', aside?.says.split(', ')[0] ?? '')])
  })

  test('that is sound is not touched', async () => {
    const before = readFileSync(path)

    const { code, findings } = await look('--repair')

    expect(code).toBe(0)
    expect(findings.at(-1)).toEqual(finding('ok', 'repair', 'nothing was found that a repair'))
    expect(readFileSync(path).equals(before)).toBe(true)
    expect(readdirSync(folder.path)).toEqual(['store.db'])
  })

  test.runIf(process.platform === 'linux')('that a process has open is left alone, and the process named', async () => {
    scene.overwritePages(path, [60])
    const child = spawn(process.execPath, [
      '-e',
      `fs.openSync(${JSON.stringify(path)}); console.log(1); setInterval(() => {}, 1e6)`,
    ])
    await once(child.stdout, 'data')

    const outcome = await cli(['doctor', '--repair', '--store', path])
    child.kill('SIGKILL')
    await once(child, 'close')

    expect(outcome).toEqual({
      code: 1,
      stdout: '',
      stderr: `offpeak: ${path} is in use by process ${child.pid}: end it first. Nothing was changed.\n`,
    })
    expect(readdirSync(folder.path)).toEqual(['store.db'])
  })

  test('is told which batches the provider holds that it does not know any more', async () => {
    await using simulator = await startTestSimulator()
    vi.stubEnv('OPENAI_API_KEY', KEY)
    vi.stubEnv('OPENAI_BASE_URL', simulator.baseUrl('openai'))
    const created = [
      await createBatch(simulator.baseUrl('openai'), { offpeak_intent: scene.TAGS.open }),
      await createBatch(simulator.baseUrl('openai'), { offpeak_intent: 'unknownunkno' }),
      await createBatch(simulator.baseUrl('openai'), {}),
    ]
    scene.damage(path, (bytes) => bytes.fill(0, 0, 100))

    const { code, findings, text } = await look('--repair')

    expect(code).toBe(0)
    expect(about(findings, 'upstream')).toEqual([
      finding(
        'warn',
        'upstream',
        `^openai holds ${created[1]} \\(tag unknownunkno, [a-z_]+, \\d+s old\\), unknown to this store$`,
      ),
    ])
    expect(text).not.toContain(KEY.slice(0, 12))
  })

  test('is rebuilt even where no provider answers', async () => {
    vi.stubEnv('OPENAI_API_KEY', KEY)
    vi.stubEnv('OPENAI_BASE_URL', 'http://127.0.0.1:9/v1')
    scene.damage(path, (bytes) => bytes.fill(0, 0, 100))

    const { code, findings } = await look('--repair')

    expect(code).toBe(0)
    expect(about(findings, 'rebuilt')).toHaveLength(1)
    expect(about(findings, 'upstream')).toEqual([finding('warn', 'upstream', 'could not be asked what it holds')])
  })
})

test('a batch whose record was destroyed is found by the next run, and paid once', async () => {
  await using simulator = await startTestSimulator({ autoAdvance: false })
  const baseUrl = simulator.baseUrl('openai')
  const scope = (): BatchScope =>
    batchify({
      store: path,
      baseUrls: { openai: [baseUrl] },
      batchWindowMs: 1,
      pollIntervalMs: 10,
      display: 'off',
      // Whatever the first run has left unfinished is this run's at once.
      leaseMs: 1000,
    })
  const ask = (batch: BatchScope): Promise<readonly string[]> =>
    Promise.all(
      Array.from({ length: 20 }, async (_, n) => {
        const response = await batch.fetch(`${baseUrl}/responses`, {
          method: 'POST',
          headers: { authorization: `Bearer ${KEY}`, 'content-type': 'application/json' },
          body: JSON.stringify({ model: 'gpt-5', input: `question ${n}` }),
        })
        return `${response.status} ${await response.text()}`
      }),
    )
  const first = scope()
  const submitted = new Promise<void>((resolve) => void first.on('batch-submitted', () => resolve()))
  const unanswered = ask(first)
  await submitted
  await first[Symbol.asyncDispose]()
  await unanswered
  const leaves = scene.leavesOf(path, 'intents')
  scene.overwritePages(path, leaves)

  const repaired = await look('--repair')
  simulator.advance(60_000)
  const second = scope()
  const answers = await ask(second)
  await second.close()

  expect(leaves).toHaveLength(1)
  expect(about(repaired.findings, 'restored')).toEqual([finding('ok', 'restored', '^1 batch by tag')])
  expect(answers.filter((answer) => answer.startsWith('200 '))).toHaveLength(20)
  for (const [n, answer] of answers.entries()) expect(answer).toContain(`question ${n}`)
  expect(simulator.ledger().executions).toMatchObject({ repeated: 0 })
  expect(second.report().batches).toBeLessThan(2)
})

async function createBatch(baseUrl: string, metadata: Readonly<Record<string, string>>): Promise<string> {
  const authorization = `Bearer ${KEY}`
  const form = new FormData()
  const line = { custom_id: 'a-1', method: 'POST', url: '/v1/responses', body: { model: 'gpt-5', input: 'hello' } }
  form.set('purpose', 'batch')
  form.set('file', new Blob([JSON.stringify(line)]), 'input.jsonl')
  const upload = await fetch(`${baseUrl}/files`, { method: 'POST', headers: { authorization }, body: form })
  const { id } = (await upload.json()) as { id: string }
  const created = await fetch(`${baseUrl}/batches`, {
    method: 'POST',
    headers: { authorization, 'content-type': 'application/json' },
    body: JSON.stringify({ input_file_id: id, endpoint: '/v1/responses', completion_window: '24h', metadata }),
  })
  return ((await created.json()) as { id: string }).id
}
