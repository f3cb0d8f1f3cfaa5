import Sqlite from 'better-sqlite3'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { NewJob } from '../../../src/core/store.ts'
import { openSqliteStore } from '../../../src/store/sqlite-store.ts'
import { tempFolder } from '../../support/store.ts'

const SCRIPT = fileURLToPath(new URL('process.ts', import.meta.url))
const target = { provider: 'p', baseUrl: 'http://p', endpoint: '/e', model: 'm', account: 'a', queueKey: 'q' }

interface Worker {
  readonly process: ChildProcess
  /** What it says, line by line, parsed. */
  readonly lines: AsyncIterator<unknown>
}

describe('several processes on one store', () => {
  let temporary: ReturnType<typeof tempFolder>
  let path: string
  const running: ChildProcess[] = []

  beforeEach(() => {
    temporary = tempFolder()
    path = join(temporary.path, 'new', 'store.sqlite')
  })
  afterEach(() => {
    for (const child of running.splice(0)) child.kill('SIGKILL')
    temporary[Symbol.dispose]()
  })

  /** Starts a process that waits for `go`. */
  async function start(task: string, count = 0): Promise<Worker> {
    const child = spawn(process.execPath, [SCRIPT, path, task, String(count)], { stdio: ['pipe', 'pipe', 'inherit'] })
    running.push(child)
    const lines = linesOf(child)
    expect((await lines.next()).value).toBe('ready')
    return { process: child, lines }
  }

  async function* linesOf(child: ChildProcess): AsyncGenerator {
    if (!child.stdout) return
    for await (const line of createInterface({ input: child.stdout })) yield JSON.parse(line)
  }

  function go(worker: Worker): void {
    worker.process.stdin?.write('go\n')
  }

  /** The tables themselves. */
  function inspect<T>(look: (database: Sqlite.Database) => T): T {
    const database = new Sqlite(path)
    try {
      return look(database)
    } finally {
      database.close()
    }
  }

  test('that make it at the same time and enqueue the same requests end with one job for each', async () => {
    const workers = await Promise.all([start('same', 1000), start('same', 1000), start('same', 1000)])

    workers.forEach(go)
    const reports = await Promise.all(workers.map(async ({ lines }) => (await lines.next()).value))

    expect(reports).toMatchObject([{ jobs: expect.any(Array) }, {}, {}])
    // The test above has looked at the shape.
    const [first, ...others] = reports as { salt: string; queued: number; jobs: number[] }[]
    for (const other of others) {
      expect(other.salt).toBe(first?.salt)
      expect(other.jobs).toEqual(first?.jobs)
    }
    expect(new Set(first?.jobs).size).toBe(1000)
    expect([first, ...others].reduce((sum, report) => sum + (report?.queued ?? 0), 0)).toBe(1000)
    expect(inspect((database) => database.prepare('SELECT count(*) FROM jobs').pluck().get())).toBe(1000)
  })

  test.each([1, 2, 3])('leave whole groups and a healthy file when one is killed (after group %i)', async (groups) => {
    const worker = await start('endless', 500)

    go(worker)
    let told = 0
    while (told < groups) {
      await worker.lines.next()
      told += 1
    }
    worker.process.kill('SIGKILL')
    await once(worker.process, 'exit')

    const counts = inspect((database) => ({
      health: database.pragma('integrity_check', { simple: true }),
      groups: database
        .prepare(
          "SELECT DISTINCT count(*) FROM jobs GROUP BY substr(fingerprint, 1, instr(substr(fingerprint, 7), '-') + 6)",
        )
        .pluck()
        .all(),
      jobs: Number(database.prepare('SELECT count(*) FROM jobs').pluck().get()),
      whole: database.prepare('SELECT count(*) FROM jobs JOIN bodies ON job = id').pluck().get(),
    }))
    expect(counts.health).toBe('ok')
    expect(counts.groups).toEqual([500])
    expect(counts.jobs).toBeGreaterThanOrEqual(groups * 500)
    expect(counts.whole).toBe(counts.jobs)
    using store = openSqliteStore({ path })
    const owner = store.enter({ pid: 1, leaseUntil: 1 }, 0)
    expect(store.enqueue(owner, [newJob('next')], 0)).toEqual([{ kind: 'queued', job: counts.jobs + 1 }])
  })

  function newJob(name: string): NewJob {
    return { target, fingerprint: name.padEnd(22, '_'), occurrence: 1, body: '{}' }
  }
})
