import { setTimeout as delay } from 'node:timers/promises'
import { join } from 'node:path'
import { startSimulator } from '../../../src/simulator/index.ts'
import { tempFolder } from '../store.ts'
import type { Lots } from '../proof-single/lots.ts'
import { type Child, type Children, doneBy, patiently } from './children.ts'
import { converse } from './conversation.ts'
import type { Question, RunOptions } from './run.ts'
import { executedTwice } from './sweep.ts'

export interface StormOptions {
  readonly requests: number
  readonly kills: number
  readonly lots: Lots
  readonly isNaive?: boolean
}

export interface Aftermath {
  readonly kills: number
  readonly creates: number
  /** Creates whose outcome nobody was told. At least these: two further kinds come on top. */
  readonly ambiguousCreates: number
  readonly batches: number
  readonly lost: number
  readonly twice: number
  /** Executions of all requests together. */
  readonly executed: number
}

const PROCESSES = 3
const SETTLE_MS = 600
const LEASE_MS = 500
/** Kills in one round; then the next questions are asked. */
const KILLS_PER_ROUND = 4
/** Every so many creates have their effect and no reply. */
const RESET_EVERY = 7
/** Every process also asks so many of its neighbour's questions. */
const SHARED = 10

/** Three processes on one store ask and ask again while they are killed at random, and their provider breaks off creates and is late with its list. */
export async function storm(
  { requests, kills, lots, isNaive = false }: StormOptions,
  children: Children,
): Promise<Aftermath> {
  await using simulator = await startSimulator({ batchMs: 300 })
  using folder = tempFolder()
  simulator.fault({ kind: 'reset', operation: 'create', moment: 'after', every: RESET_EVERY })
  simulator.fault({ kind: 'reset', operation: 'create', moment: 'before', every: 9 })
  simulator.fault({ kind: 'invalid-json', operation: 'create', every: 11 })
  simulator.fault({ kind: 'list-lag', ms: SETTLE_MS / 2, every: 2 })
  const options: RunOptions = {
    provider: simulator.baseUrl('openai'),
    path: join(folder.path, 'store.db'),
    tagging: 'metadata',
    settings: { batchSize: 20, settleMs: SETTLE_MS, leaseMs: LEASE_MS },
  }
  let killed = 0
  const asked: Question[] = []

  /** One process's part: asked again after each kill, until all of it is answered. */
  async function carryThrough(questions: readonly Question[], until: number): Promise<void> {
    for (;;) {
      const child = await children.take()
      child.start({ ...options, tagging: 'metadata', questions, isNaive })
      const isDone = await endsBefore(child, 30 + lots.below(670))
      if (!isDone && killed < until) {
        killed += 1
        await child.kill()
        continue
      }
      const { right } = await doneBy(child)
      children.give(child)
      if (right.every(Boolean)) return
    }
  }

  const rounds = Math.ceil(kills / KILLS_PER_ROUND)
  // A round in which everybody was faster than its kills leaves them to the next, and the last to further ones.
  const isOver = (round: number): boolean => round >= rounds && killed >= kills
  for (let round = 0; !isOver(round); round += 1) {
    const questions = questionsOf(round, Math.ceil(requests / rounds))
    asked.push(...questions)
    const share = Math.ceil(questions.length / PROCESSES)
    const until = Math.min(kills, (round + 1) * KILLS_PER_ROUND)
    await Promise.all(
      Array.from({ length: PROCESSES }, (_, index) =>
        carryThrough(questions.slice(index * share, (index + 1) * share + SHARED), until),
      ),
    )
  }
  const { right } = await patiently('the last run', converse(options, { questions: asked }))
  const twice = await executedTwice(simulator)
  const { calls, batches, executions } = simulator.ledger()
  return {
    kills: killed,
    creates: calls.create,
    ambiguousCreates: Math.floor(calls.create / RESET_EVERY),
    batches: batches.created,
    lost: right.filter((isRight) => !isRight).length,
    twice,
    executed: executions.batch,
  }
}

async function endsBefore(child: Child, ms: number): Promise<boolean> {
  return (await Promise.race([child.heard('done'), delay(ms, undefined, { ref: false })])) !== undefined
}

function questionsOf(round: number, count: number): readonly Question[] {
  return Array.from({ length: count }, (_, index) => ({
    prompt: `round ${round} question ${index}`,
    model: index % 2 === 0 ? 'gpt-4o-mini' : 'gpt-4.1-mini',
    key: 'sk-storm',
  }))
}
