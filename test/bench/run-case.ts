import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { Order } from './order.ts'

const CHILD = fileURLToPath(new URL('child.ts', import.meta.url))

/** Runs one case in a process of its own. A case that fails, or takes longer than `limitMs`, is an error. */
export async function runCase(order: Order, limitMs: number): Promise<unknown> {
  const child = fork(CHILD, [JSON.stringify(order)], {
    timeout: limitMs,
    killSignal: 'SIGKILL',
    env: cleanEnvironment(),
  })
  let result: unknown
  child.on('message', (message) => {
    result = message
  })
  const [code, signal] = await new Promise<[number | null, NodeJS.Signals | null]>((resolve, reject) => {
    child.once('error', reject).once('exit', (...how) => resolve(how))
  })
  if (code === 0 && result !== undefined) return result
  const how =
    signal === 'SIGKILL' ? `was ended after ${limitMs / 1000} s, or ran out of memory` : `ended with ${code ?? signal}`
  throw new Error(`${order.case} with ${order.requests} requests ${how}`)
}

/** What a user has set for offpeak or an SDK would be measured too. */
function cleanEnvironment(): NodeJS.ProcessEnv {
  const own = Object.entries(process.env).filter(([name]) => !/^(OFFPEAK|OPENAI)_/.test(name))
  return Object.fromEntries(own)
}
