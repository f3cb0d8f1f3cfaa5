import type { Config } from '../config.ts'
import { OffpeakError } from '../core/errors.ts'
import type { Report } from '../core/report.ts'
import type { Target } from '../core/request.ts'
import type { OpenedScope } from '../create.ts'
import { type Batcher, INTERCEPTION, openScope } from '../intercept/scope.ts'
import { onLeaving } from '../leaving.ts'
import { DryRun } from '../manager/dry-run/dry-run.ts'
import { BATCH_RATES } from '../money/batch-rates.ts'
import { chooseLook } from '../progress/display-mode.ts'
import { renderDryRun } from '../progress/dry-run-table.ts'
import { createOutput } from '../progress/output.ts'
import { createProgress, toReport, toSnapshot } from '../progress/snapshot.ts'
import { anyWork, createMatch } from '../providers/registry.ts'
import { openStoredAnswers } from '../store/stored-answers.ts'
import { systemClock } from '../system-clock.ts'
import { estimating } from './estimating.ts'

/** A scope that counts instead of sending: no provider is called, no job is made, no file is written. It states no events. */
export function openDryRun(config: Config): OpenedScope {
  const clock = systemClock
  const isOwnStore = typeof config.store === 'string'
  const opened = typeof config.store === 'string' ? openStoredAnswers(config.store) : config.store
  const dryRun = new DryRun({
    adapters: new Map(config.adapters.map((adapter) => [adapter.name, adapter])),
    answers: opened,
    clock,
    settings: config,
    ...estimating(opened.learned()),
    pricesChecked: BATCH_RATES.map(({ checked }) => checked).sort()[0] ?? '',
  })
  const batcher = batcherOf(dryRun, config)
  const interception = openScope(batcher, { kind: config.scope, timeouts: config.timeouts })
  const progress = createProgress(clock.now())
  const report = (): Report => ({ ...toReport(progress, { unpricedRequests: 0 }), dryRun: dryRun.report() })

  let hasEnded = false
  const end = (): void => {
    if (hasEnded) return
    hasEnded = true
    stopListening()
    if (isOwnStore) opened[Symbol.dispose]()
    if (config.display !== 'off') show(dryRun)
  }
  const stop = (stoppedBy?: string): void => {
    dryRun.stop(stoppedBy)
    end()
  }
  const stopListening = onLeaving({
    pending: () => 1,
    leave: () => Promise.resolve(stop('it was interrupted')),
  })

  return {
    [INTERCEPTION]: interception,
    fetch: interception.fetch,
    async run(fn) {
      if (hasEnded)
        throw new OffpeakError('scope-closed', 'offpeak: this scope has ended; open a new one with batchify()')
      return await interception.run(fn)
    },
    submit: (request) => dryRun.submit(request),
    flush: () => dryRun.flush(),
    on: () => () => undefined,
    snapshot: () => toSnapshot(progress, clock.now()),
    report,
    async close() {
      await dryRun.close()
      interception.close()
      end()
    },
    async finish() {
      await this.close()
    },
    async abandon(cause) {
      stop(causeText(cause))
      interception.close()
    },
    abort(reason) {
      stop(reason === undefined ? undefined : causeText(reason))
      interception.close()
    },
    costLimit: () => undefined,
    deferred: new Promise(() => undefined),
    pending: () => dryRun.pending,
    conclude(exitCode, cause) {
      if (cause !== undefined) stop(causeText(cause))
      else stop(exitCode ? `it ended with exit code ${exitCode}` : undefined)
    },
    async [Symbol.asyncDispose]() {
      // Before anything is awaited: only here does restoring reach the context of the block.
      interception.leave()
      this.abort()
    },
  }
}

const ELSEWHERE = 'no batch takes calls to this endpoint'

/** Stands before whatever else a provider does as well: it would be done, and billed. */
function batcherOf(dryRun: DryRun, { adapters, baseUrls }: Config): Batcher {
  const batchable = createMatch(adapters, baseUrls)
  const other = createMatch(adapters, baseUrls, anyWork)
  const elsewhere = new WeakSet<Target>()
  return {
    match(head) {
      const target = batchable(head)
      if (target) return target
      const found = other(head)
      if (found) elsewhere.add(found)
      return found
    },
    submit(request) {
      const { target } = request
      const reply = elsewhere.has(target) ? dryRun.instead(target, 'not-admitted', ELSEWHERE) : undefined
      return reply ? Promise.resolve(reply) : dryRun.submit(request)
    },
    passedThrough() {},
    instead: (target, reason, detail) =>
      elsewhere.has(target)
        ? dryRun.instead(target, 'not-admitted', ELSEWHERE)
        : dryRun.instead(target, reason, detail),
  }
}

function show(dryRun: DryRun): void {
  const { stderr } = process
  const output = createOutput(stderr)
  const columns = stderr.isTTY ? stderr.columns : undefined
  const lines = renderDryRun(dryRun.report(), chooseLook(stderr, process.env), columns)
  output.write(lines.map((line) => `${line}\n`).join(''))
  output.close()
}

/** One line: what follows it may be a whole reply. */
function causeText(cause: unknown): string {
  const text = cause instanceof Error ? `${cause.name}: ${cause.message}` : String(cause)
  return text.split('\n', 1)[0] ?? ''
}
