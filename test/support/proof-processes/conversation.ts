import { setImmediate as turn } from 'node:timers/promises'
import type { CancelToken } from '../../../src/core/request.ts'
import { isRight, startRun, type Question, type Run, type RunOptions } from './run.ts'

export interface Conversation {
  readonly questions: readonly Question[]
  /** Callers with a question for this model leave as soon as a provider has it. */
  readonly leaving?: string | undefined
  /** The caller of this question leaves before it is submitted. */
  readonly regretted?: number | undefined
}

export interface Told {
  /** In the order of the questions; null: that caller left. */
  readonly statuses: readonly (number | null)[]
  /** Which questions were answered with their own answer. */
  readonly right: readonly boolean[]
  readonly faults: readonly string[]
}

/** Asks everything at once, waits for every reply and closes, as a program in `batchify` does. */
export async function converse(options: RunOptions, conversation: Conversation): Promise<Told> {
  const { questions, leaving, regretted } = conversation
  const tokens = questions.map((): CancelToken => ({ cancelled: false }))
  const left = questions.map(() => Promise.withResolvers<undefined>())
  const leave = (index: number): void => {
    const token = tokens[index]
    if (!token || token.cancelled) return
    token.cancelled = true
    token.onCancel?.()
    left[index]?.resolve(undefined)
  }
  using run = startRun({
    ...options,
    onEvent(event) {
      options.onEvent?.(event)
      const isThere = event.type === 'batch-submitted' || event.type === 'batch-recovered'
      if (!isThere || event.model !== leaving) return
      for (const [index, { model }] of questions.entries()) if (model === leaving) leave(index)
    },
  })
  const asked = questions.map((question, index) => run.ask(question, tokens[index]))
  if (regretted !== undefined) {
    // Its job is written and queued by then.
    await turn()
    await turn()
    leave(regretted)
  }
  const replies = await Promise.all(asked.map((reply, index) => Promise.race([reply, left[index]?.promise])))
  await close(run)
  return {
    statuses: replies.map((reply) => reply?.status ?? null),
    right: questions.map((question, index) => {
      const reply = replies[index]
      return reply !== undefined && isRight(question, reply)
    }),
    faults: run.faults.map((fault) => (fault instanceof Error ? fault.message : String(fault))),
  }
}

/** A scope whose store fails ends all the same. */
async function close(run: Run): Promise<void> {
  try {
    await run.manager.close()
  } catch (error) {
    if (run.faults.length === 0 && !(error instanceof Error && error.name === 'Broken')) throw error
  }
}
