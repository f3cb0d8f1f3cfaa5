import { describe, expect, test } from 'vitest'
import { openai } from '../../src/providers/openai.ts'
import { ProviderError } from '../../src/core/errors.ts'
import type { Reply } from '../../src/core/reply.ts'
import { codeOf, isAnswerTo, prompts, startWorld, type Engine, type World } from '../support/engine.ts'

function askAll(world: World, engine: Engine, all: readonly string[]): Promise<readonly Reply[]> {
  return world.until(Promise.all(all.map((prompt) => engine.ask(prompt))))
}

function executions(world: World): { readonly batch: number; readonly repeated: number } {
  const { batch, repeated } = world.simulator.ledger().executions
  return { batch, repeated }
}

/** Which of the replies are refusals; every other must be the right answer. */
function refused(all: readonly string[], replies: readonly Reply[]): readonly string[] {
  const culprits = all.filter((prompt, index) => {
    const reply = replies[index]
    return !reply || !isAnswerTo(prompt, reply)
  })
  for (const culprit of culprits) expect(replies[all.indexOf(culprit)]?.status).toBe(400)
  return culprits
}

const INVALID = '[[simulate:invalid]]'
/** Prompts of which these, counted from 1, cannot be run. */
function withInvalid(count: number, ...lines: readonly number[]): string[] {
  return prompts(count).map((prompt, index) => (lines.includes(index + 1) ? `${prompt} ${INVALID}` : prompt))
}

const ONE_BATCH = { settings: { batchSize: 2000 } }

/** Batches whose validation names this line instead of the right one. */
function namingLine(
  nameOf: (line: number | undefined) => number | undefined,
): NonNullable<Parameters<World['engine']>[0]> {
  return {
    ...ONE_BATCH,
    adapter: {
      async poll(handles, call) {
        const states = await openai.poll(handles, call)
        return states.map((state) => {
          if (state.phase !== 'ended' || state.outcome !== 'failed') return state
          return Object.assign({}, state, {
            problems: state.problems.map((problem) => Object.assign({}, problem, { line: nameOf(problem.line) })),
          })
        })
      },
    },
  }
}

describe('a batch that fails validation', () => {
  test('on one line of two thousand answers everybody but that line’s caller', async () => {
    await using world = await startWorld()
    const all = withInvalid(2000, 1234)

    const replies = await askAll(world, world.engine(ONE_BATCH), all)

    expect(refused(all, replies)).toEqual([all[1233]])
    expect(executions(world)).toEqual({ batch: 1999, repeated: 0 })
    // The whole, the line by itself, the rest.
    expect(world.simulator.ledger().batches.created).toBe(3)
  })

  test('on two lines, which validation names one after the other, answers everybody but their callers', async () => {
    await using world = await startWorld()
    const all = withInvalid(2000, 7, 1999)

    const replies = await askAll(world, world.engine(ONE_BATCH), all)

    expect(refused(all, replies)).toEqual([all[6], all[1998]])
    expect(executions(world)).toEqual({ batch: 1998, repeated: 0 })
    expect(world.simulator.ledger().batches.created).toBeLessThan(12)
  })

  for (const [how, nameOf] of [
    ['names no line', () => undefined],
    ['counts lines from 0', (line) => line && line - 1],
    ['always names the first line', () => 1],
    ['names a line that does not exist', () => 99_999],
  ] as const satisfies readonly (readonly [string, (line: number | undefined) => number | undefined])[]) {
    test(`and ${how} is cut up until only the culprits are left`, async () => {
      await using world = await startWorld()
      const all = withInvalid(500, 250, 251)

      const replies = await askAll(world, world.engine(namingLine(nameOf)), all)

      expect(refused(all, replies)).toEqual([all[249], all[250]])
      expect(executions(world)).toEqual({ batch: 498, repeated: 0 })
      expect(world.simulator.ledger().batches.created).toBeLessThan(80)
    })
  }

  test('because its model does not exist is not cut up at all', async () => {
    await using world = await startWorld()
    const engine = world.engine()
    const all = prompts(50)

    const replies = await world.until(Promise.all(all.map((prompt) => engine.ask(prompt, { model: 'no-such-model' }))))

    expect(replies.map((reply) => [reply.status, codeOf(reply)])).toEqual(all.map(() => [400, 'model_not_found']))
    expect(world.simulator.ledger().batches.created).toBe(1)
  })

  for (const [how, nameOf] of [
    ['with the line named', (line) => line],
    ['with no line named', () => undefined],
  ] as const satisfies readonly (readonly [string, (line: number | undefined) => number | undefined])[]) {
    test(`on every line, ${how}, is given up after a bounded number of batches`, async () => {
      await using world = await startWorld()
      const all = prompts(150, INVALID)

      const replies = await askAll(world, world.engine(namingLine(nameOf)), all)

      expect(replies.map(({ status }) => status)).toEqual(all.map(() => 400))
      expect(world.simulator.ledger().batches.created).toBeLessThan(230)
    })
  }

  test('with one job in it is that job’s 400, in the provider’s words', async () => {
    await using world = await startWorld()
    const engine = world.engine()

    const reply = await world.until(engine.ask(`alone ${INVALID}`))

    expect([reply.status, codeOf(reply)]).toEqual([400, 'invalid_request'])
    expect(reply.body).toContain('The line asked to be invalid.')
    expect(reply.headers['x-should-retry']).toBe('false')
  })
})

describe('a batch that fails because its account may spend no more', () => {
  test('is told to its callers now, and run by a later run', async () => {
    await using world = await startWorld({
      faults: [{ kind: 'reject', line: null, code: 'insufficient_quota', message: 'no money', times: 1 }],
    })
    const all = prompts(10)
    const first = world.engine()

    const refusals = await askAll(world, first, all)
    await world.until(first.manager.close())
    const replies = await askAll(world, world.engine(), all)

    expect(refusals.map((reply) => [reply.status, codeOf(reply)])).toEqual(all.map(() => [402, 'insufficient_quota']))
    expect(refused(all, replies)).toEqual([])
    expect(executions(world)).toEqual({ batch: 10, repeated: 0 })
  })
})

/** A provider that reads every line as it is uploaded, and refuses the upload for the first it cannot run. */
function checkingUploads(lineOf: (line: number) => number | undefined): NonNullable<Parameters<World['engine']>[0]> {
  return {
    ...ONE_BATCH,
    adapter: {
      async upload(intent, input, call) {
        const lines = (await input.blob.text()).split('\n')
        const bad = lines.findIndex((line) => line.includes(INVALID)) + 1
        if (bad > 0) throw new ProviderError(400, undefined, `Line ${bad}: bad`, undefined, `Line ${bad}: bad`)
        return (await openai.upload?.(intent, input, call)) ?? {}
      },
      refusal(error) {
        const line = /^Line (\d+)/.exec(error.body)?.[1]
        const named = line === undefined ? undefined : lineOf(Number(line))
        if (line === undefined) return undefined
        return {
          rows: named === undefined ? [] : [{ code: 'bad', message: error.body, line: named, param: undefined }],
        }
      },
    },
  }
}

describe('an upload that is refused for one of its lines', () => {
  for (const [how, lineOf] of [
    ['with the line named', (line) => line],
    ['with the wrong line named', (line) => line + 1],
    ['with no line named', () => undefined],
  ] as const satisfies readonly (readonly [string, (line: number) => number | undefined])[]) {
    test(`${how}, answers everybody but that line’s caller`, async () => {
      await using world = await startWorld()
      const all = withInvalid(300, 77, 200)

      const replies = await askAll(world, world.engine(checkingUploads(lineOf)), all)

      expect(refused(all, replies)).toEqual([all[76], all[199]])
      expect(executions(world)).toEqual({ batch: 298, repeated: 0 })
      expect(world.simulator.ledger().batches).toMatchObject({ failed: 0 })
    })
  }

  test('by itself is told in the provider’s words', async () => {
    await using world = await startWorld()

    const reply = await world.until(world.engine(checkingUploads((line) => line)).ask(`alone ${INVALID}`))

    expect(reply.status).toBe(400)
    expect(reply.body).toContain('Line 1: bad')
  })
})

describe('a provider without room', () => {
  test('for tokens enqueued at the moment gets the batch again later', async () => {
    await using world = await startWorld({ faults: [{ kind: 'token-limit', times: 3 }] })
    const all = prompts(10)

    const replies = await askAll(world, world.engine(), all)

    expect(refused(all, replies)).toEqual([])
    expect(executions(world)).toEqual({ batch: 10, repeated: 0 })
  })

  test('for two batches at once runs the second when the first has ended', async () => {
    // Three tokens a prompt: room for ten of them.
    await using world = await startWorld({ limits: { enqueuedTokens: 30 } })
    const engine = world.engine({ settings: { batchSize: 6 } })
    const all = prompts(12, 'p')

    const replies = await askAll(world, engine, all)

    expect(refused(all, replies)).toEqual([])
    expect(executions(world)).toEqual({ batch: 12, repeated: 0 })
  })

  test('for a whole batch, ever, gets smaller ones', async () => {
    await using world = await startWorld({ limits: { enqueuedTokens: 60 } })
    const engine = world.engine()
    const all = prompts(200)
    const startedAt = world.clock.now()

    const replies = await askAll(world, engine, all)

    expect(refused(all, replies)).toEqual([])
    expect(executions(world)).toEqual({ batch: 200, repeated: 0 })
    expect(world.clock.now() - startedAt).toBeLessThan(12 * 60 * 60_000)
  })
})

describe('more than fits one batch', () => {
  test('is split by the number of jobs', async () => {
    await using world = await startWorld({ limits: { jobs: 20 } })
    const all = prompts(95)

    const replies = await askAll(world, world.engine({ adapter: { limits: { ...openai.limits, jobs: 20 } } }), all)

    expect(refused(all, replies)).toEqual([])
    expect(executions(world)).toEqual({ batch: 95, repeated: 0 })
    expect(world.simulator.ledger().batches).toMatchObject({ created: 5, failed: 0 })
  })

  test('is split by bytes', async () => {
    await using world = await startWorld({ limits: { bytes: 10_000 } })
    const all = prompts(60, 'x'.repeat(500))

    const replies = await askAll(world, world.engine({ adapter: { limits: { ...openai.limits, bytes: 10_000 } } }), all)

    expect(refused(all, replies)).toEqual([])
    expect(executions(world)).toEqual({ batch: 60, repeated: 0 })
    expect(world.simulator.ledger().batches).toMatchObject({ failed: 0 })
  })

  test('is split by the inputs of embeddings, of which one request may have many', async () => {
    await using world = await startWorld({ limits: { jobs: 20 } })
    const engine = world.engine({ adapter: { limits: { ...openai.limits, jobs: 20 } } })
    const bodies = prompts(10).map((prompt) => ({
      model: 'text-embedding-3-small',
      input: [prompt, 'two', 'three', 'four', 'five', 'six', 'seven'],
      dimensions: 2,
    }))

    const replies = await world.until(Promise.all(bodies.map((body) => engine.ask('', { path: '/embeddings', body }))))

    expect(replies.map(({ status }) => status)).toEqual(bodies.map(() => 200))
    expect(executions(world)).toEqual({ batch: 10, repeated: 0 })
    expect(world.simulator.ledger().batches).toMatchObject({ created: 5, failed: 0 })
  })

  test('although we did not know its limit is found out by the provider’s refusal', async () => {
    await using world = await startWorld({ limits: { jobs: 10 } })
    const all = prompts(35)

    const replies = await askAll(world, world.engine(), all)

    expect(refused(all, replies)).toEqual([])
    expect(executions(world)).toEqual({ batch: 35, repeated: 0 })
  })
})

describe('requests that must not share a batch', () => {
  test('are those of other keys, organisations, projects, tenants and queries; the rest shares one', async () => {
    await using world = await startWorld()
    const engine = world.engine()
    const callers = [
      {},
      { key: 'sk-other' },
      { headers: { 'openai-organization': 'org-1' } },
      { headers: { 'openai-project': 'project-1' } },
      { headers: { 'x-tenant': 'seven' } },
      { query: '?tenant=7' },
      { model: 'gpt-4.1-mini' },
      // Not told apart by these: they are about one attempt only.
      { headers: { 'x-stainless-lang': 'js', 'user-agent': 'x', traceparent: 'y', 'idempotency-key': 'z' } },
    ]

    const replies = await world.until(Promise.all(callers.map((caller) => engine.ask('the same', caller))))

    expect(replies.map(({ status }) => status)).toEqual(callers.map(() => 200))
    expect(world.simulator.ledger().batches.created).toBe(7)
  })
})
