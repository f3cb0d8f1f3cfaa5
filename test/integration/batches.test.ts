import { once } from 'node:events'
import { spawn } from 'node:child_process'
import Sqlite from 'better-sqlite3'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { batchLines, costText } from '../../src/cli/batches/describe.ts'
import { watchBatches } from '../../src/cli/batches/watch.ts'
import type { Clock } from '../../src/core/clock.ts'
import { migrate } from '../../src/store/migrations.ts'
import { openBatchReader, type StoredBatch } from '../../src/store/read-batches.ts'
import { openSqliteStore } from '../../src/store/sqlite-store.ts'
import { cli } from '../support/cli.ts'
import { type CommandScene, commandScene, KEY } from '../support/command-scene.ts'
import { fakeClock } from '../support/fake-clock.ts'
import { tempStore } from '../support/store.ts'
import { openTerminal, shellWords } from '../support/terminal/open-terminal.ts'
import { lookAtScreen } from '../support/terminal/look-at-screen.ts'
import { FakeScreen } from '../unit/progress/fake-screen.ts'

const BIN = fileURLToPath(new URL('../../src/cli/bin.ts', import.meta.url))

let scene: CommandScene | undefined
afterEach(async () => {
  await scene?.[Symbol.asyncDispose]()
  scene = undefined
})

async function open(...options: Parameters<typeof commandScene>): Promise<CommandScene> {
  scene = await commandScene(...options)
  return scene
}

/** The list, cut as a shell would cut it. */
function cells(stdout: string): readonly (readonly string[])[] {
  return stdout
    .trimEnd()
    .split('\n')
    .map((line) => line.split(/ +/))
}

describe('offpeak batches', () => {
  test('lists what was sent, the newest first, in columns that shells can cut', async () => {
    const { ask, offpeak } = await open()
    await ask(['a', 'b', 'c'], { metadata: { team: 'search' } })
    await ask(['d'], { model: 'gpt-4o' })

    const { code, stdout, stderr } = await offpeak('batches')

    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    const money = expect.stringMatching(/^\$0\.0+\d+$/)
    const age = expect.stringMatching(/^\d+s$/)
    const batch = expect.stringMatching(/^batch_/)
    expect(cells(stdout)).toEqual([
      ['BATCH', 'PROVIDER', 'ENDPOINT', 'MODEL', 'STATE', 'DONE', 'FAILED', 'AGE', 'RUN', 'COST'],
      [batch, 'openai', '/v1/chat/completions', 'gpt-4o', 'completed', '1/1', '0', age, '2', money],
      [batch, 'openai', '/v1/chat/completions', 'gpt-4o-mini', 'completed', '3/3', '0', age, '1', money],
    ])
  })

  test('narrows the list, says how many are left out, and prints JSON', async () => {
    const { ask, submit, offpeak, simulator } = await open()
    simulator.fault({ kind: 'row-status', lines: [1], status: 400, times: 1 })
    await ask(['a', 'b'])
    await submit(['c'])

    const json = async (...args: readonly string[]): Promise<{ batches: Record<string, unknown>[]; total: number }> =>
      JSON.parse((await offpeak('batches', 'list', '--json', ...args)).stdout)
    const limited = await offpeak('batches', '--limit', '1')

    expect(limited.stderr).toBe('1 older one not shown: --limit 2\n')
    expect(cells(limited.stdout)[1]?.[5]).toMatch(/^[?0]\/1$/)
    const all = await json()
    expect(all.total).toBe(2)
    expect(all.batches[1]).toMatchObject({ requests: 2, answered: 1, failed: 1, waiting: 0, run: 1, unpriced: 0 })
    // Nothing is answered, so that nobody knows what it costs: that is not zero.
    expect(all.batches[0]).toMatchObject({ state: 'running', waiting: 1, run: 2 })
    expect(all.batches[0]).not.toHaveProperty('costUsd')
    expect((await json('--state', 'open')).batches).toEqual([all.batches[0]])
    expect((await json('--run', '1')).batches).toEqual([all.batches[1]])
    expect((await json('--run', 'last')).batches).toEqual([all.batches[0]])
    expect((await json('--provider', 'anthropic')).total).toBe(0)
    expect((await json('--since', '1d', '--state', 'completed')).total).toBe(1)
  })

  test('shows everything about one, why requests failed, and an example of each cause', async () => {
    const { ask, offpeak, simulator } = await open()
    simulator.fault({ kind: 'row-status', lines: [1, 3], status: 400, times: 1 })
    await ask(['a', 'b', 'c'], { metadata: { team: 'search' } })
    const [listed] = JSON.parse((await offpeak('batches', '--json')).stdout).batches

    const shown = await offpeak('batches', 'show', listed.tag.slice(0, 6))

    const rows = new Map(
      shown.stdout
        .split('\n')
        .map((line) => line.split(/ {2,}/))
        .map(([name = '', value]) => [name, value]),
    )
    expect(rows.get('batch')).toBe(listed.id)
    expect(rows.get('requests')).toBe('3: 1 answered, 2 failed, 0 waiting')
    expect(rows.get('metadata')).toBe('team=search')
    expect(rows.get('in the hands of')).toBe('nobody')
    expect(rows.get('submitted')).toMatch(/^20.*Z \(\d+s ago\)$/)
    const failed = [...rows].filter(([name]) => name.startsWith('failed: '))
    expect(failed).toEqual([[expect.any(String), expect.stringMatching(/^2 requests; job 1: HTTP 400 ./)]])
    const { failures } = JSON.parse((await offpeak('batches', 'show', listed.id, '--json')).stdout)
    expect(failures).toEqual([
      expect.objectContaining({ count: 2, retried: 0, example: expect.objectContaining({ job: 1 }) }),
    ])
  })

  test('takes the beginning of a name, and tells when that could be several', async () => {
    const { ask, offpeak } = await open()
    await ask(['a'])
    await ask(['b'], { model: 'gpt-4o' })

    const many = await offpeak('batches', 'show', 'batch_')
    const none = await offpeak('batches', 'show', 'nothing-like-it')

    expect(many.code).toBe(2)
    expect(many.stderr).toMatch(/"batch_" could be any of batch_\w+, batch_\w+\n/)
    expect(none.code).toBe(2)
    expect(none.stderr).toContain('there is no batch "nothing-like-it" (offpeak batches lists them)')
  })

  test.each([
    [['batches', 'lsit'], 'unknown word "lsit", did you mean list?'],
    [['batches', '--state', 'compleet'], 'unknown state "compleet", did you mean completed?'],
    [['batches', '--provider', 'opanai'], 'unknown provider "opanai", did you mean openai?'],
    [['batches', '--run', 'x'], '--run must be the number of a run, or last, not "x"'],
    [['batches', 'show'], 'offpeak batches show needs a batch'],
    [['batches', 'show', 'a', '--all'], '--all goes with cancel'],
    [['batches', 'list', 'a'], 'one word too many: "a"'],
    [['batches', 'cancel'], 'offpeak batches cancel needs a batch, or --all'],
    [['batches', 'refresh', '--header', 'sk-secret'], '--header must be written name:value'],
  ])('%j is wrong usage', async (args, message) => {
    using store = tempStore()

    const { code, stderr, stdout } = await cli([...args, '--store', store.path])

    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    expect(stderr).toContain(message)
    expect(stderr).not.toContain('sk-secret')
  })

  test('says that there is no store, and makes none', async () => {
    const { path, offpeak } = await open()

    expect(await offpeak('batches')).toEqual({
      code: 1,
      stdout: '',
      stderr: `offpeak: there is no store at ${path} yet; the first run makes it\n`,
    })
  })

  test('what nobody can price is never free', () => {
    const batch = (answered: number, costUsd: number, unpriced: number): StoredBatch =>
      ({
        jobs: { answered, failed: 0, submitted: 0 },
        money: { costUsd, liveCostUsd: 0, unpriced },
      }) as unknown as StoredBatch

    expect([batch(0, 0, 0), batch(2, 0, 2), batch(3, 1.5, 1), batch(3, 1.5, 0)].map(costText)).toEqual([
      '-',
      'unknown',
      '$1.50+',
      '$1.50',
    ])
  })
})

describe('offpeak batches refresh', () => {
  test('asks the provider, and notes what it says when nobody is at work on the batch', async () => {
    const { submit, offpeak } = await open()
    await submit(['a', 'b'])

    const first = await offpeak('batches', 'refresh')
    await offpeak('batches', 'refresh')
    const ended = await offpeak('batches', 'refresh')
    const [listed] = JSON.parse((await offpeak('batches', '--json')).stdout).batches

    expect(first).toMatchObject({ code: 0, stderr: '' })
    expect(first.stdout).toMatch(/^batch_\w+ {2}openai {2}in_progress, \d of 2 completed, 0 failed\n$/)
    expect(ended.stdout).toMatch(
      /completed, 2 of 2 completed, 0 failed; run its program again to collect the answers\n$/,
    )
    // Collecting is left to the program.
    expect(listed).toMatchObject({ state: 'running', status: 'completed', waiting: 2, counts: { completed: 2 } })
  })

  test('writes nothing while a process holds the batch, and its program goes on undisturbed', async () => {
    const { submit, ask, offpeak, path } = await open()
    await submit(['a'])
    const now = Date.now()
    {
      using store = openSqliteStore({ path })
      const owner = store.enter({ pid: process.pid, leaseUntil: now + 60_000 }, now)
      const [open] = store.openIntents()
      expect(open && store.takeOver(open.id, owner, now)).toBeDefined()

      const { code, stdout } = await offpeak('batches', 'refresh')

      expect({ code, stdout }).toEqual({ code: 0, stdout: expect.stringContaining('in_progress') })
      expect(store.openIntents()[0]).toMatchObject({ status: open?.status, counts: undefined })
      store.leave(owner, now)
    }
    await offpeak('batches', 'refresh')
    expect(await ask(['a'])).toEqual([expect.objectContaining({ status: 200 })])
  })

  test('uses no other key than that of the batch, and says which one is needed', async () => {
    const { submit, offpeak, simulator } = await open()
    await submit(['a'])
    const calls = (): number => simulator.ledger().requests.length
    const before = calls()

    vi.stubEnv('OPENAI_API_KEY', 'sk-of-somebody-else')
    const another = await offpeak('batches', 'refresh')
    vi.stubEnv('OPENAI_API_KEY', '')
    const none = await offpeak('batches', 'refresh')
    const cancelled = await offpeak('batches', 'cancel', '--all')
    const asked = calls() - before
    const given = await offpeak('batches', 'refresh', '--header', `Authorization: Bearer ${KEY}`)

    expect(another).toMatchObject({
      code: 1,
      stdout: expect.stringContaining('with another key, organisation, project'),
    })
    expect(none).toMatchObject({
      code: 1,
      stdout: expect.stringContaining('set OPENAI_API_KEY to the key it was sent with'),
    })
    expect(cancelled).toMatchObject({ code: 1, stdout: expect.stringContaining('not cancelled: set OPENAI_API_KEY') })
    expect(asked).toBe(0)
    expect(given).toMatchObject({ code: 0, stdout: expect.stringContaining('in_progress') })
  })

  test.each([
    [404, 'this key does not see it'],
    [401, 'openai refuses the key (HTTP 401)'],
    [500, 'openai refused (HTTP 500)'],
  ])('an answer of %i is told as “%s”', async (status, text) => {
    const { submit, offpeak, simulator } = await open()
    await submit(['a'])
    simulator.fault({ kind: 'status', operation: 'poll', status })

    const { code, stdout } = await offpeak('batches', 'refresh')

    expect({ code, stdout }).toEqual({ code: 1, stdout: expect.stringContaining(`not known: ${text}`) })
  })
})

describe('offpeak batches cancel', () => {
  test('asks the provider to cancel, and says what is over already', async () => {
    const { submit, ask, offpeak } = await open()
    await ask(['over'])
    await submit(['a'])
    const [running, over] = JSON.parse((await offpeak('batches', '--json')).stdout).batches

    const all = await offpeak('batches', 'cancel', '--all')
    const nothing = await offpeak('batches', 'cancel', over.id, '--json')
    const answers = await ask(['a'])
    const [again, cancelled] = JSON.parse((await offpeak('batches', '--json')).stdout).batches

    expect(all).toEqual({ code: 0, stdout: `${running.id}  openai  is being cancelled\n`, stderr: '' })
    expect(nothing.code).toBe(1)
    expect(JSON.parse(nothing.stdout).batches).toEqual([
      { id: over.id, tag: over.tag, provider: 'openai', cancelling: false, reason: 'it is over' },
    ])
    // Its next run sends again what was not run.
    expect(answers[0]?.status).toBe(200)
    expect(cancelled).toMatchObject({ id: running.id, state: 'cancelled', answered: 0 })
    expect(again).toMatchObject({ state: 'completed', answered: 1 })
  })
})

describe('offpeak batches watch', () => {
  test('prints a line for each change, and ends when the providers say that all is over', async () => {
    const { submit, offpeak } = await open()
    await submit(['a', 'b'])

    const { code, stdout, stderr } = await offpeak('batches', 'watch', '--interval', '5ms')

    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    const lines = stdout
      .trimEnd()
      .split('\n')
      .map((line) => line.replace(/^batch_\w+ {2}/, ''))
    expect(lines[0]).toMatch(/^running \(in_progress\), \d of 2 done$/)
    expect(lines.at(-1)).toBe('running (completed), 2 of 2 done')
    expect(new Set(lines).size).toBe(lines.length)
    expect(await offpeak('batches', 'watch', 'batch_')).toMatchObject({ code: 0 })
  })

  test('on a terminal the list is redrawn in its place, ages and all, and stays when it is over', async () => {
    const { submit, path } = await open()
    await submit(['a'])
    using reader = openBatchReader(path, 1000)
    const [batch] = reader.list({}, 1).batches
    if (!batch) throw new Error('nothing was sent')
    const time = fakeClock(batch.intent.createdAt)
    // What keeps a process alive is all the same to a test.
    const clock: Clock = { ...time, after: (ms, fire) => time.after(ms, fire) }
    const screen = new FakeScreen(160, 10)
    const looks: StoredBatch[] = [
      batch,
      { ...batch, intent: { ...batch.intent, counts: { total: 1, completed: 0, failed: 0 } } },
      { ...batch, state: 'completed', jobs: { submitted: 0, answered: 1, failed: 0 } },
    ]
    let looked = 0

    const watching = watchBatches({
      look: () => Promise.resolve({ batches: [looks[looked++] ?? batch], over: new Set(), notes: ['one thing'] }),
      intervalMs: 10_000,
      clock,
      interrupted: new AbortController().signal,
      screen,
      print: () => expect.unreachable(),
      say: () => expect.unreachable(),
    })
    const seen: (readonly string[])[] = []
    const turn = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve))
    for (const ms of [100, 5000, 5000, 1900]) {
      await turn()
      time.advance(ms)
      seen.push(screen.lines.filter((line) => line.includes(' openai ')))
    }
    await turn()
    time.advance(10_000)
    await watching

    expect(looked).toBe(3)
    expect(seen.map((lines) => lines.map((line) => line.split(/ +/).slice(4, 8)))).toEqual([
      [['running', '?/1', '?', '0s']],
      [['running', '?/1', '?', '5s']],
      [['running', '?/1', '?', '10s']],
      [['running', '0/1', '0', '11s']],
    ])
    expect(screen.lines.filter((line) => line !== '')).toEqual([
      'one thing',
      ...batchLines([looks[2] ?? batch], clock.now()),
    ])
  })

  test('at a terminal, Ctrl-C ends it with 130, and the list stays', async () => {
    const { submit, path } = await open({ autoAdvance: false })
    await submit(['a'])
    const size = { columns: 150, rows: 24 }
    const words = shellWords(process.execPath, '--no-warnings', BIN, 'batches', 'watch', '--store', path)
    const program = openTerminal(`exec ${words}`, { env: { OPENAI_API_KEY: KEY }, size })
    try {
      await program.says(' running ')

      program.interrupt()
      const { code, output } = await program.ended

      expect(code).toBe(130)
      const { lines, cursorShown } = lookAtScreen(output, size)
      expect(cursorShown).toBe(true)
      expect(lines.filter((line) => !line.includes('^C')).map((line) => line.split(/ +/)[4])).toEqual([
        'STATE',
        'running',
      ])
    } finally {
      program.kill()
      await program.ended
    }
  })

  test('through a pipe, Ctrl-C ends it with 130', async () => {
    const { submit, path } = await open({ autoAdvance: false })
    await submit(['a'])
    const env = { PATH: process.env['PATH'], OPENAI_API_KEY: KEY }
    const child = spawn(process.execPath, ['--no-warnings', BIN, 'batches', 'watch', '--store', path], { env })
    let stdout = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text))
    await once(child.stdout, 'data')

    child.kill('SIGINT')
    await once(child, 'close')

    expect(child.exitCode).toBe(130)
    expect(stdout).toMatch(/^batch_\w+ {2}running \(\w+\), \? of 1 done\n$/)
  })
})

test('a store that an older offpeak has written is read as it is', async () => {
  const { path, offpeak } = await open()
  const database = new Sqlite(path)
  migrate(database, path, 1)
  database.exec(`
    INSERT INTO owners (pid, lease_until) VALUES (7, 1);
    INSERT INTO targets (provider, base_url, endpoint, model, account, queue_key) VALUES ('openai', 'http://p/v1', '/v1/responses', 'm', 'a', 'q');
    INSERT INTO intents (tag, target, state, owner, epoch, completion_window, metadata, jobs, first_job, last_job, root, created_at, handle, batch, status)
      VALUES ('abcdefghijkl', 1, 4, 1, 1, '24h', '{}', 1, 5, 5, 1, 1000, '{"id":"batch_1"}', 'batch_1', 'completed');
    INSERT INTO jobs VALUES (5, 1, 2, 1, 1, 0, 0, 900, 2000, 1, 'print');
    INSERT INTO bodies VALUES (5, '{"model":"m"}');
    INSERT INTO answers VALUES (5, 200, NULL, '{"ok":true}', 3, 4);
  `)
  database.close()
  const before = readFileSync(path)

  const listed = await offpeak('batches')
  const printed = await offpeak('results', 'last')
  const byRun = await offpeak('results', '1')

  expect(cells(listed.stdout)[1]?.slice(4)).toEqual(['completed', '1/1', '0', expect.any(String), '1', 'unknown'])
  expect(printed.stderr).toContain('no run has sent a batch yet')
  expect(JSON.parse(byRun.stdout)).toEqual({
    job: 5,
    batch: 'batch_1',
    provider: 'openai',
    endpoint: '/v1/responses',
    model: 'm',
    status: 200,
    request: { model: 'm' },
    response: { ok: true },
    usage: { input: 3, output: 4 },
  })
  expect(readFileSync(path)).toEqual(before)
})
