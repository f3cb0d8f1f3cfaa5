import { writeFileSync } from 'node:fs'
import type { BatchifyOptions } from './config.ts'
import { type DeferredExit, OffpeakError } from './core/errors.ts'
import type { Report } from './core/report.ts'
import { createScope, type OpenedScope } from './create.ts'
import { INTERCEPTION } from './intercept/scope.ts'

const EXIT = { deferred: 0, failed: 1, usage: 2, cost: 4 } as const

/**
 * Batches everything this process asks from here to its end, which comes when it would have come anyway: its exit code, signals, stdin
 * and stdout are its own. `optionsText` is JSON. One that is not the first of its family shows log lines, and leaves the screen to that one.
 * `reportFile` is where the scope's report goes in the end, as JSON.
 */
export function batchProcess(optionsText: string | undefined, isFirst: boolean, reportFile?: string): void {
  const scope = open(optionsText, isFirst)
  scope[INTERCEPTION].enter()

  let isClosing = false
  process.on('beforeExit', () => {
    // Whoever still waits keeps the process, once what is queued has been submitted.
    if (isClosing || scope.pending() > 0) return
    isClosing = true
    scope.close().catch((error: unknown) => fail(error))
  })
  let failure: unknown
  process.on('uncaughtExceptionMonitor', (error) => (failure = error))
  process.on('exit', (code) => {
    scope.conclude(code, failure)
    if (reportFile !== undefined) writeReport(reportFile, scope.report())
    // How a program wants to end is its own to say; what it did not catch is not.
    const refused = process.exitCode && failure === undefined ? undefined : scope.costLimit()
    if (!refused) return
    process.stderr.write(`${refused.message}\n`)
    process.exitCode = EXIT.cost
  })
  scope.deferred.catch((exit: DeferredExit) => {
    isClosing = true
    // It rejects with the very same, once the store is left.
    void scope.finish().catch(() => {
      process.stderr.write(`${farewell(exit)}\n`)
      process.exit(EXIT.deferred)
    })
  })
}

function open(optionsText: string | undefined, isFirst: boolean): OpenedScope {
  try {
    const options = parseOptions(optionsText)
    const display = isFirst || options.display === 'off' ? {} : ({ display: 'log' } as const)
    return createScope({ ...options, ...display, scope: 'process' }, 'leave')
  } catch (error) {
    return fail(error)
  }
}

/** What it says is checked with all other options. */
function parseOptions(text: string | undefined): BatchifyOptions {
  if (text === undefined || text.trim() === '') return {}
  let options: unknown
  try {
    options = JSON.parse(text)
  } catch (cause) {
    throw new OffpeakError('invalid-options', 'offpeak: OFFPEAK_OPTIONS is not JSON', { cause })
  }
  if (typeof options === 'object' && options !== null && !Array.isArray(options)) return options
  throw new OffpeakError('invalid-options', 'offpeak: OFFPEAK_OPTIONS is not a JSON object')
}

function writeReport(file: string, report: Report): void {
  try {
    writeFileSync(file, `${JSON.stringify(report, undefined, 2)}\n`)
  } catch (error) {
    process.stderr.write(`offpeak: the report could not be written: ${error instanceof Error ? error.message : ''}\n`)
    process.exitCode ||= EXIT.failed
  }
}

/** Before the program began, or after it ended: there is nobody to throw at. */
function fail(error: unknown): never {
  const code = error instanceof OffpeakError ? error.code : undefined
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
  process.exit(code === 'invalid-options' ? EXIT.usage : code === 'cost-limit' ? EXIT.cost : EXIT.failed)
}

function farewell({ batches, message }: DeferredExit): string {
  const lines = batches.map(({ provider, id, jobs }) => `  ${id}  ${provider}, ${jobs} requests`)
  return [message, ...lines].join('\n')
}
