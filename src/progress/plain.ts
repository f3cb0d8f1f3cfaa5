import type { Clock } from '../core/clock.ts'
import type { OffpeakEvent } from '../core/events.ts'
import type { Cost } from '../core/report.ts'
import type { Snapshot } from '../core/snapshot.ts'
import { formatCount, formatDuration, formatPlural, formatTimeLeft } from './format.ts'
import { savedText } from './money.ts'
import { glyphs, type Look, paint } from './style.ts'
import type { Output } from './output.ts'
import { troubleText } from './render.ts'
import { printable } from './width.ts'

const HEARTBEAT_MS = 30_000

/** Progress for a log: a line when a batch changes its state, and every 30 seconds one that says how far everything is. */
export interface Log {
  handle(event: OffpeakEvent): void
  print(lines: readonly string[]): void
  close(): void
}

/** What the log asks for when it says how far everything is. */
export interface Sources {
  snapshot(): Snapshot
  cost(): Cost
}

export function createLog(output: Output, clock: Clock, look: Look, sources: Sources): Log {
  const states = new Map<string, string>()
  const unreachable = new Map<string, number>()
  let cancelTimer: (() => void) | undefined

  function print(lines: readonly string[]): void {
    output.write(lines.map((line) => `${line}\n`).join(''))
  }

  function say(text: string): void {
    print([`${paint('offpeak', 'strong', look)}  ${text}`])
  }

  function rest(): void {
    cancelTimer = output.alive ? clock.after(HEARTBEAT_MS, beat) : undefined
  }

  function beat(): void {
    const now = sources.snapshot()
    if (now.requests.queued + now.requests.running > 0) say(heartbeatText(now, sources.cost(), look))
    rest()
  }

  rest()
  return {
    handle(event) {
      if (event.type === 'provider-unreachable') {
        // One line per outage and kind of call, not one per attempt.
        const key = `${event.provider} ${event.doing}`
        if (unreachable.get(key) === event.since) return
        unreachable.set(key, event.since)
        say(troubleText({ ...event, retryAt: event.at + event.retryInMs }, event.at))
        return
      }
      if (!('intent' in event) || event.type === 'rows-missing') return
      const state = stateText(event)
      if (states.get(state.intent) === state.text) return
      states.set(state.intent, state.text)
      say(`${state.batch}: ${state.text}${state.detail}`)
    },
    print,
    close() {
      cancelTimer?.()
    },
  }
}

function heartbeatText({ requests, elapsedMs, left }: Snapshot, cost: Cost, look: Look): string {
  const { queued, running, completed, failed, cached } = requests
  const counts = [
    `${formatCount(queued)} queued`,
    `${formatCount(running)} running`,
    `${formatCount(completed)} done`,
    `${formatCount(failed)} failed`,
    ...(cached > 0 ? [`${formatCount(cached)} from the store`] : []),
  ]
  const parts = [counts.join(', '), left ? formatTimeLeft(left, glyphs(look).to) : '', savedText(cost, 'long')]
  return `${formatDuration(elapsedMs)}: ${parts.filter((part) => part !== '').join('; ')}`
}

type BatchEvent = Extract<OffpeakEvent, { type: `batch-${string}` }>

interface StateLine {
  readonly intent: string
  readonly batch: string
  readonly text: string
  readonly detail: string
}

/** What a batch event changes; counts belong to the detail, because a change of them alone is no line. */
function stateText(event: BatchEvent): StateLine {
  switch (event.type) {
    case 'batch-submitting':
      return about(event, 'submitting', `, ${formatPlural(event.jobs, 'request', 'requests')} to ${where(event)}`)
    case 'batch-submitted':
      return about(event, 'submitted', `, ${formatPlural(event.jobs, 'request', 'requests')} to ${where(event)}`)
    case 'batch-progress':
      return about(event, printable(event.status), event.counts ? `, ${countsText(event.counts)}` : '')
    case 'batch-completed':
      return about(
        event,
        printable(event.status),
        `, ${formatCount(event.succeeded)} answered, ${formatCount(event.failed)} failed`,
      )
    case 'batch-failed':
      return about(event, `failed, ${printable(event.reason)}`, event.willRetry ? '; its requests are sent again' : '')
    case 'batch-cancelled':
      return about(event, `cancelled, ${printable(event.reason)}`, '')
    case 'batch-recovered':
      return about(
        event,
        { resumed: 'resumed', adopted: 'found again', 'never-created': 'was never created' }[event.how],
        `, ${formatPlural(event.jobs, 'request', 'requests')}`,
      )
  }
}

function about(event: BatchEvent, text: string, detail: string): StateLine {
  return { intent: event.intent, batch: `batch ${printable(event.id ?? event.intent)}`, text, detail }
}

function where(event: BatchEvent): string {
  return printable(`${event.provider} ${event.model} ${event.endpoint}`)
}

function countsText(counts: { total: number; completed: number; failed: number }): string {
  const failed = counts.failed > 0 ? `, ${formatCount(counts.failed)} failed` : ''
  return `${formatCount(counts.completed + counts.failed)}/${formatCount(counts.total)} done${failed}`
}
