import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { cli } from '../support/cli.ts'
import { tempFolder } from '../support/store.ts'

const BIN = fileURLToPath(new URL('../../src/cli/bin.ts', import.meta.url))

function program(name: string): string {
  return fileURLToPath(new URL(`../support/run/programs/${name}`, import.meta.url))
}

interface Ended {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
  readonly report: unknown
  /** What it has left behind, besides the report. */
  readonly files: readonly string[]
}

/** `offpeak run --dry-run --report …`, with a provider that cannot be found and no store. */
async function dryRun(...args: readonly string[]): Promise<Ended> {
  using folder = tempFolder()
  const file = join(folder.path, 'report.json')
  const child = spawn(process.execPath, ['--no-warnings', BIN, 'run', '--dry-run', '--report', file, ...args], {
    env: {
      PATH: process.env['PATH'],
      OFFPEAK_HOME: join(folder.path, 'home'),
      OPENAI_BASE_URL: 'http://openai.invalid/v1',
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')])
  const report: unknown = JSON.parse(readFileSync(file, 'utf8'))
  return {
    code: child.exitCode,
    stdout,
    stderr,
    report,
    files: readdirSync(folder.path).filter((name) => name !== 'report.json'),
  }
}

describe.concurrent('offpeak run --dry-run', () => {
  test('runs the program to its end on stubs: its stdout is its own, the table is on stderr, the report in its file', async () => {
    const { code, stdout, stderr, report, files } = await dryRun(program('esm.ts'), 'main')

    expect({ code, stdout }).toEqual({ code: 0, stdout: '[["main"],"dry run","dry run"]\n' })
    expect(stderr).toContain('dry run: 2 requests in 2 batches; nothing was sent')
    expect(stderr).toMatch(/openai +\/v1\/chat\/completions +gpt-4o-mini +2 +0 +2 /)
    expect(report).toMatchObject({ dryRun: { totals: { requests: 2, batches: 2 }, wouldPassThrough: [] } })
    expect(report).not.toHaveProperty('dryRun.stoppedBy')
    expect(files).toEqual([])
  })

  test('keeps the exit code of a program that makes nothing of a stub, and says how far it was counted', async () => {
    const { code, stdout, stderr, report } = await dryRun(program('picky.ts'))

    expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
    expect(stderr).toMatch(/counted up to where it stopped: SyntaxError: .*dry run/)
    expect(report).toMatchObject({
      dryRun: { totals: { requests: 1, batches: 1 }, stoppedBy: expect.stringMatching(/^SyntaxError/) },
    })
  })

  test('is refused before anything runs when its report has no place to go', async () => {
    const { code, stderr } = await cli(['run', '--dry-run', '--report', '/nowhere/at/all.json', program('esm.ts')])

    expect({ code, stderr }).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('there is no folder /nowhere/at'),
    })
  })
})
