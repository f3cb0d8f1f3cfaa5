import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { COMPILE_CACHE } from '../compile-cache.ts'
import type { EnqueueTask, Said, Task } from './program.ts'

const PROGRAM = fileURLToPath(new URL('program.ts', import.meta.url))
/** Nothing a child is asked to do takes this long, on any machine. */
const PATIENCE_MS = 60_000

type Done = Extract<Said, { type: 'done' }>

/** A process that runs programs, one after the other. */
export interface Child {
  readonly process: ChildProcess
  readonly isAlive: boolean
  start(task: Task | EnqueueTask): void
  /** Resolves once it has said this since its last task began, or has ended without. */
  heard<T extends Said['type']>(type: T): Promise<Extract<Said, { type: T }> | 'ended'>
  kill(): Promise<void>
}

/** Processes that are started ahead and used again as long as they live. */
export interface Children extends AsyncDisposable {
  take(): Promise<Child>
  /** Back into the pool, if it still lives. */
  give(child: Child): void
}

/** `under`: the command that runs them, with its arguments, such as a tracer. */
export function startChildren(under: readonly string[] = []): Children {
  const all = new Set<Child>()
  const idle: Child[] = []
  return {
    async take() {
      const child = idle.pop() ?? spawnChild(under)
      all.add(child)
      if ((await child.heard('ready')) === 'ended') throw new Error('a child ended before it was ready')
      return child
    },
    give(child) {
      if (child.isAlive) idle.push(child)
    },
    async [Symbol.asyncDispose]() {
      await Promise.all([...all].map((child) => child.kill()))
    },
  }
}

function spawnChild(under: readonly string[]): Child {
  const [command, ...given] = [...under, process.execPath, '--no-warnings', PROGRAM]
  if (command === undefined) throw new Error('there is nothing to run')
  const running = spawn(command, given, {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: { PATH: process.env['PATH'], ...COMPILE_CACHE },
  })
  const ended = once(running, 'close').then(() => 'ended' as const)
  let isAlive = true
  void ended.then(() => (isAlive = false))
  // A process that was killed cannot be told anything: its exit says so.
  running.stdin.on('error', () => {})
  const said: Said[] = []
  const listeners = new Set<(what: Said) => void>()
  createInterface({ input: running.stdout }).on('line', (line) => {
    const what = JSON.parse(line) as Said // the program's own
    said.push(what)
    for (const listener of listeners) listener(what)
  })

  function when<T extends Said['type']>(type: T): Promise<Extract<Said, { type: T }>> {
    const isIt = (what: Said): what is Extract<Said, { type: T }> => what.type === type
    const before = said.find(isIt)
    if (before) return Promise.resolve(before)
    return new Promise((resolve) => {
      function listen(what: Said): void {
        if (!isIt(what)) return
        listeners.delete(listen)
        resolve(what)
      }
      listeners.add(listen)
    })
  }

  return {
    process: running,
    get isAlive() {
      return isAlive
    },
    start(task) {
      const ready = said.filter(({ type }) => type === 'ready')
      said.splice(0, said.length, ...ready)
      running.stdin.write(`${JSON.stringify(task)}\n`)
    },
    heard: (type) => patiently(`a child that says "${type}"`, Promise.race([when(type), ended])),
    async kill() {
      running.kill('SIGKILL')
      await ended
    },
  }
}

/** What a child said at the end of its task. */
export async function doneBy(child: Child): Promise<Done> {
  const done = await child.heard('done')
  if (done === 'ended') throw new Error('a child ended in the middle of its task')
  return done
}

/** So that whoever hangs says at what. */
export async function patiently<T>(what: string, promise: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const impatience = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`waited ${PATIENCE_MS / 1000} s for ${what}`)), PATIENCE_MS)
  })
  try {
    return await Promise.race([promise, impatience])
  } finally {
    clearTimeout(timer)
  }
}
