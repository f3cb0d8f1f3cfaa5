import { dirname } from 'node:path'
import { setImmediate as turn } from 'node:timers/promises'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { batchify, type BatchifyOptions, type BatchScope, OffpeakError, openMemoryStore } from '../../src/index.ts'
import { openScene, type Scene } from '../support/clients-scene.ts'
import { outcome } from '../support/intercept.ts'

interface Said {
  readonly status: number
  readonly cache: string | null
  readonly code: unknown
  readonly text: string
}

function chat(prompt: string): { readonly model: string; readonly messages: readonly unknown[] } {
  return { model: 'gpt-4o-mini', messages: [{ role: 'user', content: prompt }] }
}

async function ask(scene: Scene, prompt: string, fetchIt: typeof fetch = fetch): Promise<Said> {
  const response = await fetchIt(`${scene.connection.baseUrl}/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${scene.connection.apiKey}`, 'content-type': 'application/json' },
    body: JSON.stringify(chat(prompt)),
  })
  const json = (await response.json()) as {
    error?: { code: unknown; message: string }
    choices?: { message: { content: string } }[]
  } // an answer of the simulator or an error of ours
  return {
    status: response.status,
    cache: response.headers.get('x-offpeak-cache'),
    code: json.error?.code,
    text: json.choices?.[0]?.message.content ?? json.error?.message ?? '',
  }
}

const scene = (simulated: Parameters<typeof openScene>[1] = {}): Promise<Scene> => openScene(batchify, simulated)

/** In a scope of its own, opened and closed around it. */
function inScope<T>(of: Scene, more: BatchifyOptions, work: () => Promise<T>): Promise<T> {
  return batchify({ ...of.options, ...more }, work)
}

const executions = (of: Scene): { readonly live: number; readonly batch: number; readonly repeated: number } => {
  const { live, batch, repeated } = of.simulator.ledger().executions
  return { live, batch, repeated }
}

/** Resolves once the scope has a batch at the provider. */
function submitted(batch: BatchScope): Promise<void> {
  return new Promise((resolve) => {
    const undo = batch.on('batch-submitted', () => {
      undo()
      resolve()
    })
  })
}

describe('the three call forms', () => {
  test('batchify(fn) resolves with what fn returned, its calls answered', async () => {
    await using own = await scene()
    // The defaults take their time, so that what they answer is answered already.
    await inScope(own, {}, () => ask(own, 'alone'))
    vi.stubEnv('OFFPEAK_HOME', dirname(typeof own.options.store === 'string' ? own.options.store : ''))
    vi.stubEnv('OPENAI_BASE_URL', own.connection.baseUrl)
    const shown = vi.spyOn(process.stderr, 'write').mockReturnValue(true)

    const said = await batchify(() => ask(own, 'alone'))

    expect(said).toMatchObject({ status: 200, cache: 'hit' })
    expect(executions(own)).toEqual({ live: 0, batch: 1, repeated: 0 })
    expect(shown).toHaveBeenCalled()
  })

  test('batchify(options, fn) does so with options', async () => {
    await using own = await scene()

    const said = await batchify(own.options, () => Promise.all(['a', 'b', 'c'].map((prompt) => ask(own, prompt))))

    expect(said.map(({ status }) => status)).toEqual([200, 200, 200])
    expect(own.simulator.ledger().batches.created).toBe(1)
  })

  test('batchify(options, fn) waits for calls fn did not wait for', async () => {
    await using own = await scene()
    let late: Promise<Said> | undefined

    await batchify(own.options, () => {
      late = ask(own, 'late')
    })

    expect(await late).toMatchObject({ status: 200 })
    expect(executions(own)).toEqual({ live: 0, batch: 1, repeated: 0 })
  })

  test('await using batch = batchify() batches to the end of the block, and no further', async () => {
    await using own = await scene()
    const inside = await (async () => {
      await using batch = batchify(own.options)
      const said = await ask(own, 'inside')
      return { said, counts: batch.snapshot().requests }
    })()
    const outside = await ask(own, 'outside')

    expect(inside).toMatchObject({ said: { status: 200, cache: 'miss' }, counts: { total: 1, completed: 1 } })
    expect(outside).toMatchObject({ status: 200, cache: null })
    expect(executions(own)).toEqual({ live: 1, batch: 1, repeated: 0 })
  })

  test.each([[7], ['options'], [null]])('batchify(%o) is refused', (given) => {
    expect(() => batchify(given as unknown as BatchifyOptions)).toThrow(OffpeakError) // no program with types can
  })

  test('batchify(options, no function) is refused', async () => {
    const wrong = batchify({}, 'work' as unknown as () => void) // no program with types can

    await expect(wrong).rejects.toMatchObject({ code: 'invalid-options' })
  })

  test('wrong options are refused before anything is opened', async () => {
    await expect(batchify({ batchSice: 7 } as BatchifyOptions, () => 1)).rejects.toThrow(
      'offpeak: unknown option "batchSice"; did you mean "batchSize"?',
    )
  })
})

describe('scopes beside and inside each other', () => {
  test('the innermost one batches', async () => {
    await using own = await scene()
    const outer = await own.open({ metadata: { scope: 'outer' } })
    const inner = await own.open({ metadata: { scope: 'inner' } })

    await outer.run(async () => {
      const both = [ask(own, 'outer')]
      await inner.run(async () => void both.push(ask(own, 'inner')))
      await Promise.all(both)
    })

    expect(outer.snapshot().requests).toMatchObject({ total: 1, completed: 1 })
    expect(inner.snapshot().requests).toMatchObject({ total: 1, completed: 1 })
    await Promise.all([inner.close(), outer.close()])
  })

  test('a closed inner one leaves its context to the outer', async () => {
    await using own = await scene()
    const outer = await own.open()
    const inner = await own.open()

    await outer.run(() =>
      inner.run(async () => {
        await inner.close()
        await ask(own, 'after')
      }),
    )

    expect(outer.snapshot().requests.completed).toBe(1)
    await outer.close()
  })

  test('two at once on one store answer their own callers, and pay once for what both ask', async () => {
    await using own = await scene()
    const [one, two] = [await own.open(), await own.open()]

    const [first, second] = await Promise.all(
      [one, two].map((batch, index) =>
        batch.run(() => Promise.all(['shared', `own ${index}`].map((prompt) => ask(own, prompt)))),
      ),
    )
    await Promise.all([one.close(), two.close()])

    expect([...(first ?? []), ...(second ?? [])].map(({ status }) => status)).toEqual([200, 200, 200, 200])
    expect(executions(own)).toEqual({ live: 0, batch: 3, repeated: 0 })
  })

  test('two at once on two stores know nothing of each other', async () => {
    await using own = await scene()
    const [one, two] = [await own.open({ store: openMemoryStore() }), await own.open({ store: openMemoryStore() })]

    const said = await Promise.all([one, two].map((batch) => batch.run(() => ask(own, 'shared'))))
    await Promise.all([one.close(), two.close()])

    expect(said.map(({ cache }) => cache)).toEqual(['miss', 'miss'])
    expect(executions(own)).toEqual({ live: 0, batch: 2, repeated: 1 })
  })

  test('without any call is over at once, and makes no call of its own', async () => {
    await using own = await scene()

    const result = await inScope(own, { batchWindowMs: 60_000 }, async () => 'done')

    expect(result).toBe('done')
    expect(Object.values(own.simulator.ledger().calls).every((calls) => calls === 0)).toBe(true)
  })
})

test('many scopes at once leave nothing behind at the process, and no warning of Node’s', async () => {
  const before = process.listenerCount('beforeExit')
  const warnings: Error[] = []
  const onWarning = (warning: Error): void => void warnings.push(warning)
  process.on('warning', onWarning)

  const scopes = await Promise.all(
    Array.from({ length: 15 }, async () => {
      await Promise.resolve()
      return batchify({ display: 'off', store: openMemoryStore() })
    }),
  )
  await Promise.all(scopes.map((scope) => scope.close()))
  await turn()
  process.off('warning', onWarning)

  expect(warnings).toEqual([])
  expect(process.listenerCount('beforeExit')).toBe(before)
})

describe('a scope that throws', () => {
  test('waits for nothing: what was not sent is dropped with a clear reply, and its error is thrown on', async () => {
    await using own = await scene()
    const boom = new Error('boom')
    let left: Promise<Said> | undefined

    const run = await outcome(
      inScope(own, { batchWindowMs: 60_000 }, async () => {
        left = ask(own, 'unsent')
        await Promise.resolve()
        throw boom
      }),
    )

    expect(run).toEqual({ error: boom })
    expect(await left).toMatchObject({ status: 499, code: 'scope_closed' })
    expect((await left)?.text).toContain('nothing was sent')
    expect(own.simulator.ledger().calls.create).toBe(0)
  })

  test('leaves what was sent to the next run, which pays nothing for it', async () => {
    await using own = await scene({ autoAdvance: false })
    const batch = await own.open()
    const sent = submitted(batch)
    let left: Promise<Said> | undefined
    await batch.run(async () => void (left = ask(own, 'sent')))
    await sent
    batch.abort()

    const first = await left
    own.simulator.advance(10_000)
    const second = await inScope(own, {}, () => ask(own, 'sent'))

    expect(first).toMatchObject({ status: 499, code: 'scope_closed' })
    expect(first?.text).toContain('running the program again')
    expect(second).toMatchObject({ status: 200 })
    expect(executions(own)).toEqual({ live: 0, batch: 1, repeated: 0 })
    expect(own.simulator.ledger().calls.create).toBe(1)
  })

  test('what was dropped is asked anew by the next run', async () => {
    await using own = await scene()
    const batch = await own.open({ batchWindowMs: 60_000 })
    const left = batch.run(() => ask(own, 'dropped'))
    await new Promise((resolve) => batch.on('request-queued', resolve))
    batch.abort()
    await left

    const said = await inScope(own, {}, () => ask(own, 'dropped'))

    expect(said.status).toBe(200)
    expect(executions(own)).toEqual({ live: 0, batch: 1, repeated: 0 })
  })
})

describe('the end of a scope', () => {
  test('of the block form refuses calls nobody waited for', async () => {
    await using own = await scene()
    let left: Promise<Said> | undefined
    await (async () => {
      await using _batch = batchify({ ...own.options, batchWindowMs: 60_000 })
      left = ask(own, 'not awaited')
      await Promise.resolve()
    })()

    expect(await left).toMatchObject({ status: 499, code: 'scope_closed' })
  })

  test('by close waits for every answer; closing and disposing again change nothing', async () => {
    await using own = await scene()
    const batch = await own.open()
    const said = batch.run(() => ask(own, 'one'))
    await batch.run(async () => {})

    await batch.close()
    await batch.close()
    await batch[Symbol.asyncDispose]()
    batch.abort()

    expect(await said).toMatchObject({ status: 200 })
  })

  test('is the end: run is refused, and its fetch goes to the provider with a warning', async () => {
    await using own = await scene()
    const batch = await own.open()
    await batch.close()

    await expect(batch.run(() => 1)).rejects.toMatchObject({ code: 'scope-closed' })
    const said = await ask(own, 'late', batch.fetch)

    expect(said).toMatchObject({ status: 200, cache: null })
    expect(executions(own)).toEqual({ live: 1, batch: 0, repeated: 0 })
  })

  test('by abort cuts a close short that waits for answers', async () => {
    await using own = await scene({ autoAdvance: false })
    const batch = await own.open()
    const sent = submitted(batch)
    const said = batch.run(() => ask(own, 'never'))
    await sent

    const closed = batch.close()
    batch.abort()
    await closed

    expect(await said).toMatchObject({ status: 499, code: 'scope_closed' })
  })

  test('by abort with cancelOnAbort cancels what nobody waits for', async () => {
    await using own = await scene({ autoAdvance: false })
    const batch = await own.open({ cancelOnAbort: true })
    const sent = submitted(batch)
    const said = batch.run(() => ask(own, 'never'))
    await sent

    batch.abort()
    await batch.close()

    expect(await said).toMatchObject({ status: 499 })
    expect(own.simulator.ledger().calls.cancel).toBe(1)
  })
})

describe('what a scope offers', () => {
  test('flush submits now, and resolves when the batches are with the provider', async () => {
    await using own = await scene()
    const batch = await own.open({ batchWindowMs: 60_000 })
    const said = batch.run(() => ask(own, 'one'))
    await new Promise((resolve) => batch.on('request-queued', resolve))

    await batch.flush()

    expect(own.simulator.ledger().calls.create).toBe(1)
    await batch.close()
    expect(await said).toMatchObject({ status: 200 })
  })

  test('its fetch batches whatever the context', async () => {
    await using own = await scene()
    const batch = await own.open()

    const said = await ask(own, 'through fetch', batch.fetch)
    await batch.close()

    expect(said).toMatchObject({ status: 200, cache: 'miss' })
  })

  test('listeners hear facts until they are undone', async () => {
    await using own = await scene()
    const batch = await own.open({ batchSize: 1 })
    const heard: number[] = []
    const undo = batch.on('request-settled', ({ job, status }) => void heard.push(job, status))

    await batch.run(() => ask(own, 'one'))
    await Promise.resolve()
    const before = heard.length
    undo()
    undo()
    await batch.run(() => ask(own, 'two'))
    await batch.close()

    expect(before).toBe(2)
    expect(heard).toHaveLength(2)
  })

  test('a listener that throws is warned about, and disturbs neither the others nor the answers', async () => {
    await using own = await scene()
    const warned = vi.spyOn(process, 'emitWarning').mockReturnValue()
    const batch = await own.open()
    let heard = 0
    batch.on('request-settled', () => {
      throw new Error('a mistake of the listener')
    })
    batch.on('request-settled', () => (heard += 1))

    const said = await batch.run(() => ask(own, 'one'))
    await batch.close()

    expect(said.status).toBe(200)
    expect(heard).toBe(1)
    expect(warned).toHaveBeenCalledWith(
      expect.objectContaining({ message: 'a mistake of the listener' }),
      'OffpeakWarning',
    )
  })

  test('snapshot and report count what happened', async () => {
    await using own = await scene()
    await inScope(own, {}, () => ask(own, 'old'))
    const batch = await own.open()

    await batch.run(() =>
      Promise.all([ask(own, 'old'), ask(own, 'new'), ask(own, 'wrong [[simulate:400]]'), ask(own, 'new too')]),
    )
    await batch.close()

    expect(batch.snapshot().requests).toEqual({
      total: 4,
      cached: 1,
      queued: 0,
      running: 0,
      completed: 2,
      failed: 1,
      passedThrough: 0,
    })
    const report = batch.report()
    expect(report).toMatchObject({ batches: 1, requests: { total: 4 }, failures: [{ count: 1 }] })
    expect(report.tokens.input).toBeGreaterThan(0)
    expect(report.savedUsd).toBeGreaterThan(0)
  })

  test('metadata is stamped on every batch and event', async () => {
    await using own = await scene()
    const batch = await own.open({ metadata: { team: 'blue' } })
    const heard: unknown[] = []
    batch.on('batch-submitted', ({ metadata }) => heard.push(metadata))

    await batch.run(() => ask(own, 'one'))
    await batch.close()

    const list = await fetch(`${own.connection.baseUrl}/batches`, { headers: { authorization: 'Bearer sk-test' } })
    expect(await list.json()).toMatchObject({ data: [{ metadata: { team: 'blue' } }] })
    expect(heard).toEqual([{ team: 'blue' }])
  })

  test('a scope of the whole process batches calls made outside it, and stops at its end', async () => {
    await using own = await scene()
    const batch = await own.open({ scope: 'process' })

    const said = await ask(own, 'anywhere')
    await batch.close()
    const after = await ask(own, 'after')

    expect([said.cache, after.cache]).toEqual(['miss', null])
  })
})

describe('answers of earlier runs', () => {
  test('are reused without any HTTP call', async () => {
    await using own = await scene()
    const prompts = ['a', 'b', 'c']
    const run = (): Promise<Said[]> => inScope(own, {}, () => Promise.all(prompts.map((prompt) => ask(own, prompt))))

    const first = await run()
    const before = own.simulator.ledger().calls
    const second = await run()

    expect(second.map(({ text }) => text)).toEqual(first.map(({ text }) => text))
    expect(second.map(({ cache }) => cache)).toEqual(['hit', 'hit', 'hit'])
    expect(own.simulator.ledger().calls).toEqual(before)
  })

  test('to ten equal prompts are ten, a second run finds the same ten, and an eleventh is new', async () => {
    await using own = await scene()
    const run = (count: number): Promise<Said[]> =>
      inScope(own, {}, () => Promise.all(Array.from({ length: count }, () => ask(own, 'the same'))))

    await run(10)
    const afterFirst = executions(own).batch
    const second = await run(10)
    const afterSecond = executions(own).batch
    const third = await run(11)

    expect([afterFirst, afterSecond, executions(own).batch]).toEqual([10, 10, 11])
    expect(second.every(({ cache }) => cache === 'hit')).toBe(true)
    expect(third.filter(({ cache }) => cache === 'miss')).toHaveLength(1)
  })

  test('are not reused with cache: false', async () => {
    await using own = await scene()
    await inScope(own, {}, () => ask(own, 'one'))

    const again = await inScope(own, { cache: false }, () => ask(own, 'one'))
    const later = await inScope(own, {}, () => ask(own, 'one'))

    expect([again.cache, later.cache]).toEqual(['miss', 'hit'])
    expect(executions(own).batch).toBe(2)
  })

  test('are forgotten after their retention', async () => {
    await using own = await scene()
    await inScope(own, {}, () => ask(own, 'one'))
    await new Promise((resolve) => setTimeout(resolve, 2))

    const again = await inScope(own, { cache: { retentionDays: 0 } }, () => ask(own, 'one'))

    expect(again.cache).toBe('miss')
  })

  test('of another key are another’s', async () => {
    await using own = await scene()
    await inScope(own, {}, () => ask(own, 'one'))
    const other = { ...own, connection: { ...own.connection, apiKey: 'sk-other' } }

    const said = await inScope(own, {}, () => ask(other, 'one'))

    expect(said.cache).toBe('miss')
  })

  test('that were errors are asked again', async () => {
    await using own = await scene({ faults: [{ kind: 'row-status', lines: [1], status: 400, times: 1 }] })

    const first = await inScope(own, {}, () => ask(own, 'one'))
    const second = await inScope(own, {}, () => ask(own, 'one'))

    expect([first.status, second.status]).toEqual([400, 200])
  })
})

test('OFFPEAK_DISABLE=1 lets everything through, at once and at full price', async () => {
  await using own = await scene()
  vi.stubEnv('OFFPEAK_DISABLE', '1')

  const said = await inScope(own, {}, () => ask(own, 'live'))

  expect(said).toMatchObject({ status: 200, cache: null })
  expect(executions(own)).toEqual({ live: 1, batch: 0, repeated: 0 })
})

afterEach(() => {
  vi.unstubAllEnvs()
  vi.restoreAllMocks()
})
