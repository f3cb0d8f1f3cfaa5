/**
 * A program in a process of its own, for proofs about processes: says `ready`, and then does each task it reads from stdin, a line of
 * JSON each. What it says is lines of JSON, written before it goes on: a killed process has said what it had to say.
 */
import { writeSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { setImmediate as turn } from 'node:timers/promises'
import type { ManagerSettings } from '../../../src/manager/context.ts'
import { converse, type Conversation, type Told } from './conversation.ts'
import type { Moment, Reach } from './fail-points.ts'
import { liveConnections } from './live-connections.ts'
import { naiveOrder } from './naive.ts'
import { type RunOptions, startRun } from './run.ts'
import type { Tagging } from './taggings.ts'

/** Where a process meets its end, or is frozen until it is told to go on. */
export interface Trap {
  readonly point: string
  readonly moment: Moment
  /** When it is there for the n-th time. */
  readonly nth: number
  readonly signal: 'SIGKILL' | 'SIGSTOP'
}

export interface Task extends Conversation {
  readonly provider: string
  readonly path: string
  readonly tagging: Tagging
  readonly settings?: Partial<ManagerSettings> | undefined
  readonly trap?: Trap | undefined
  /** Runs the engine as somebody in a hurry would have written it. */
  readonly isNaive?: boolean | undefined
  /** Leaves the syncing of its writes to the system. */
  readonly isUnsynced?: boolean | undefined
}

/** Writes down requests, so many in one turn, and leaves without submitting them. */
export interface EnqueueTask extends Pick<Task, 'provider' | 'path'> {
  readonly enqueue: { readonly name: string; readonly turns: number; readonly perTurn: number }
}

export type Said =
  | { readonly type: 'ready' | 'trapped' | 'submitted' }
  | (Told & {
      readonly type: 'done'
      readonly cpuMs: number
      readonly wallMs: number
      /** Uses of its store. */
      readonly transactions: number
    })

function say(what: Said): void {
  writeSync(1, `${JSON.stringify(what)}\n`)
}

function springing(trap: Trap | undefined): Reach {
  let times = 0
  return (point, moment) => {
    if (point !== trap?.point || moment !== trap.moment || (times += 1) !== trap.nth) return
    say({ type: 'trapped' })
    process.kill(process.pid, trap.signal)
    // Signals are delivered to a process, not to a line of its code: nothing more happens here until it is.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, trap.signal === 'SIGKILL' ? 10_000 : 30)
  }
}

async function perform(task: Task): Promise<void> {
  const cpu = process.cpuUsage()
  const startedAt = performance.now()
  const reach = springing(task.trap)
  let transactions = 0
  const options: RunOptions = {
    ...task,
    ...(task.isNaive ? naiveOrder : {}),
    reach(point, moment) {
      if (moment === 'before' && point.startsWith('store.')) transactions += 1
      if (task.isUnsynced && point === 'store.claim') relax(task.path)
      reach(point, moment)
    },
    onEvent: ({ type }) => {
      if (type === 'batch-submitted') say({ type: 'submitted' })
    },
  }
  const told = await converse(options, task)
  const { user, system } = process.cpuUsage(cpu)
  say({ type: 'done', ...told, cpuMs: (user + system) / 1000, wallMs: performance.now() - startedAt, transactions })
}

async function write({ provider, path, enqueue: { name, turns, perTurn } }: EnqueueTask): Promise<void> {
  const startedAt = performance.now()
  const queued: string[] = []
  const options: RunOptions = {
    provider,
    path,
    tagging: 'metadata',
    settings: { batchSize: 1_000_000, batchWindowMs: 3_600_000 },
    onEvent: ({ type }) => {
      if (type === 'request-queued') queued.push(type)
    },
  }
  const run = startRun(options)
  for (let turnNumber = 0; turnNumber < turns; turnNumber += 1) {
    for (let index = 0; index < perTurn; index += 1) {
      void run.ask({ prompt: `${name} ${turnNumber} ${index}`, model: 'gpt-4o-mini', key: 'sk-writer' })
    }
    const wanted = (turnNumber + 1) * perTurn
    while (queued.length < wanted) await turn()
  }
  const wallMs = performance.now() - startedAt
  await run.manager.leave()
  run[Symbol.dispose]()
  say({ type: 'done', statuses: [], right: [], faults: [], cpuMs: 0, wallMs, transactions: turns })
}

const connections = liveConnections()

function relax(path: string): void {
  for (const database of connections)
    if (database.open && database.name === path) database.pragma('synchronous = NORMAL')
}

say({ type: 'ready' })
for await (const line of createInterface({ input: process.stdin })) {
  const task = JSON.parse(line) as Task | EnqueueTask // the test's own
  await ('enqueue' in task ? write(task) : perform(task))
}
