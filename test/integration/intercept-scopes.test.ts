import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { Batcher, InterceptionScope } from '../../src/intercept/scope.ts'
import { type EchoServer, echoServer, type FakeBatcher, fakeBatcher } from '../support/intercept.ts'

const capturedFetch = globalThis.fetch
const { bypass, openScope } = await import('../../src/intercept/scope.ts')
const { install } = await import('../../src/intercept/install.ts')
const undici = await import('undici')

install()

let server: EchoServer
const opened: InterceptionScope[] = []

beforeAll(async () => {
  server = await echoServer()
})

afterEach(() => {
  for (const scope of opened.splice(0)) scope.close()
})

afterAll(async () => {
  await server[Symbol.asyncDispose]()
})

/** A scope whose answers bear its name. */
function scopeNamed(
  from: string,
  kind: 'context' | 'process' = 'context',
): InterceptionScope & { batcher: FakeBatcher } {
  const batcher = fakeBatcher(`${server.origin}/v1`, { answer: () => ({ body: JSON.stringify({ from }) }) })
  return Object.assign(open(batcher, kind), { batcher })
}

function open(batcher: Batcher, kind: 'context' | 'process' = 'context'): InterceptionScope {
  const scope = openScope(batcher, { kind, timeouts: 'ignore' })
  opened.push(scope)
  return scope
}

const init = { method: 'POST', body: '{"model":"m"}' }

async function from(answer: Promise<{ json(): Promise<unknown> }>): Promise<unknown> {
  return ((await (await answer).json()) as { from: unknown }).from
}

const clients: [string, () => Promise<unknown>][] = [
  ['the global fetch', () => from(fetch(`${server.origin}/v1/chat`, init))],
  ['a fetch captured before import', () => from(capturedFetch(`${server.origin}/v1/chat`, init))],
  [
    'undici.request',
    () => from(undici.request(`${server.origin}/v1/chat`, { ...init, method: 'POST' }).then((r) => r.body)),
  ],
  ["undici's own fetch", () => from(undici.fetch(`${server.origin}/v1/chat`, init))],
]

describe.each(clients)('%s', (_client, call) => {
  test('is batched inside a scope and goes its own way outside', async () => {
    const scope = scopeNamed('a')

    expect(await scope.run(call)).toBe('a')
    expect(await call()).toBe('server')
  })

  test('belongs to the innermost of nested scopes, and to the outer one again once that is closed', async () => {
    const outer = scopeNamed('outer')
    const inner = scopeNamed('inner')

    const answers = await outer.run(() =>
      inner.run(async () => {
        const first = await call()
        inner.close()
        return [first, await call()]
      }),
    )

    expect(answers).toEqual(['inner', 'outer'])
  })

  test('belongs to its own of two scopes open at once', async () => {
    const [a, b] = [scopeNamed('a'), scopeNamed('b')]
    const three = (): Promise<unknown[]> => Promise.all([call(), call(), call()])

    const answers = await Promise.all([a.run(three), b.run(three), a.run(three)])

    expect(answers).toEqual([
      ['a', 'a', 'a'],
      ['b', 'b', 'b'],
      ['a', 'a', 'a'],
    ])
  })

  test('goes through in a context that outlives its scope, which is told', async () => {
    const scope = scopeNamed('a')
    const gate = Promise.withResolvers<void>()

    const late = scope.run(async () => {
      await gate.promise
      return call()
    })
    scope.close()
    gate.resolve()

    expect(await late).toBe('server')
    expect(scope.batcher.passed.map(({ reason }) => reason)).toEqual(['scope-closed'])
  })

  test('is reported once when it is made outside the scope that is open', async () => {
    const scope = scopeNamed('a')

    const answer = await call()

    expect(answer).toBe('server')
    expect(scope.batcher.passed.map(({ reason }) => reason)).toEqual(['outside-scope'])
  })

  test('is not seen at all inside a bypass', async () => {
    const scope = scopeNamed('a')

    const answer = await scope.run(() => bypass(call))

    expect(answer).toBe('server')
    expect(scope.batcher.asked).toEqual([])
  })

  test('is passed through once when the scope refuses it', async () => {
    const batcher = fakeBatcher(`${server.origin}/v1`, { admits: false })
    let submits = 0
    const counting: Batcher = {
      ...batcher,
      submit() {
        submits += 1
        return undefined
      },
    }
    const before = server.received.length

    const answer = await open(counting).run(call)

    expect(answer).toBe('server')
    expect(submits).toBe(1)
    expect(server.received.length).toBe(before + 1)
    expect(batcher.passed).toEqual([])
  })

  test('belongs to the newest process scope, unless its context has one of its own', async () => {
    const [old, young, own] = [scopeNamed('old', 'process'), scopeNamed('young', 'process'), scopeNamed('own')]
    old.enter()
    young.enter()

    const answers = [await call(), await own.run(call)]
    young.leave()
    answers.push(await call())
    old.close()

    expect(answers).toEqual(['young', 'own', 'old'])
    expect(await call()).toBe('server')
  })

  test('goes through when a batcher chokes on its URL', async () => {
    const choking = open({
      ...fakeBatcher(server.origin),
      match: () => {
        throw new Error('no such URL')
      },
    })

    expect(await choking.run(call)).toBe('server')
  })
})

describe('the block form', () => {
  const call = clients[0]?.[1] ?? (() => Promise.reject(new Error('no client')))

  test('batches the rest of its block, and nothing after its disposal', async () => {
    const scope = scopeNamed('a')

    async function block(): Promise<unknown[]> {
      scope.enter()
      try {
        return [await call()]
      } finally {
        scope.close()
      }
    }
    const inside = await block()

    expect([...inside, await call()]).toEqual(['a', 'server'])
    expect(scope.batcher.passed).toEqual([])
  })

  test('leaves its block in the synchronous part of the disposal', async () => {
    const scope = scopeNamed('a')
    const gate = Promise.withResolvers<void>()
    scope.enter()

    const disposal = (async () => {
      scope.leave()
      await gate.promise
    })()
    const meanwhile = call()
    gate.resolve()
    await disposal

    expect(await meanwhile).toBe('server')
  })

  test('gives the outer scope back', async () => {
    const [outer, inner] = [scopeNamed('outer'), scopeNamed('inner')]

    outer.enter()
    const first = await call()
    inner.enter()
    const second = await call()
    inner.close()
    const third = await call()
    outer.close()

    expect([first, second, third, await call()]).toEqual(['outer', 'inner', 'outer', 'server'])
  })

  test('that leaked into its caller stops batching there when it closes', async () => {
    const scope = scopeNamed('a')
    async function callee(): Promise<void> {
      scope.enter()
      await Promise.resolve()
      scope.close()
    }

    const running = callee()
    const sibling = await call()
    await running

    expect(sibling).toBe('a')
    expect(await call()).toBe('server')
    expect(scope.batcher.passed).toEqual([])
  })

  test('may be entered, left and closed twice', async () => {
    const scope = scopeNamed('a', 'process')

    scope.enter()
    scope.enter()
    scope.leave()
    scope.leave()
    const left = await call()
    scope.close()
    scope.close()
    scope.enter()

    expect([left, await call()]).toEqual(['server', 'server'])
  })

  test('does not pile up frames when it is entered again and again in one context', async () => {
    const { registry } = await import('../../src/intercept/registry.ts')

    for (let round = 0; round < 50; round += 1) {
      const scope = scopeNamed('a')
      await (async () => {
        scope.enter()
        await Promise.resolve()
        scope.close()
      })()
    }
    const here = registry.context.getStore()

    const outer = here === 'bypass' ? undefined : here?.outer
    expect(outer).toBeUndefined()
  })
})

describe('scope.fetch', () => {
  test('batches in any context, even inside another scope', async () => {
    const [own, other] = [scopeNamed('own'), scopeNamed('other')]
    const call = (): Promise<unknown> => from(own.fetch(`${server.origin}/v1/chat`, init))

    expect([await call(), await other.run(call)]).toEqual(['own', 'own'])
  })

  test('fetches what is not ours like any other fetch', async () => {
    const own = scopeNamed('own')

    const answer = await from(own.fetch(`${server.origin}/elsewhere`, init))

    expect(answer).toBe('server')
    expect(own.batcher.passed).toEqual([])
  })

  test('lets calls through after its scope has closed, and tells', async () => {
    const own = scopeNamed('own')
    own.close()

    const answer = await from(own.fetch(`${server.origin}/v1/chat`, init))

    expect(answer).toBe('server')
    expect(own.batcher.passed.map(({ reason }) => reason)).toEqual(['scope-closed'])
  })

  test('may be made the global fetch', async () => {
    const own = scopeNamed('own')
    const before = globalThis.fetch
    globalThis.fetch = own.fetch
    try {
      const batched = await from(fetch(`${server.origin}/v1/chat`, init))
      const other = await from(fetch(`${server.origin}/elsewhere`, init))

      expect([batched, other]).toEqual(['own', 'server'])
    } finally {
      globalThis.fetch = before
    }
  })
})

describe('other patchers of the global fetch', () => {
  const shim = globalThis.fetch
  afterEach(() => {
    globalThis.fetch = shim
  })

  /** A wrapper as instrumentation installs one. */
  function wrap(): { seen: string[] } {
    const below = globalThis.fetch
    const seen: string[] = []
    globalThis.fetch = Object.assign(
      (...call: Parameters<typeof fetch>) => {
        seen.push(new Request(...call).url)
        return below(...call)
      },
      { __patchedBySomebody: true },
    )
    return { seen }
  }

  const call = (path = '/v1/chat'): Promise<unknown> => from(fetch(`${server.origin}${path}`, init))

  test('installed after the scope opened see its calls first, and leave them batched', async () => {
    const scope = scopeNamed('a')
    const wrapper = wrap()

    const answers = [await scope.run(call), await call()]

    expect(answers).toEqual(['a', 'server'])
    expect(wrapper.seen).toHaveLength(2)
  })

  test('installed before it opened see our own traffic and whatever passes through, but not what is batched', async () => {
    const wrapper = wrap()
    const scope = scopeNamed('a')

    const answers = [
      await scope.run(call),
      await bypass(() => call('/v1/batches')),
      await scope.run(() => call('/other')),
    ]

    expect(answers).toEqual(['a', 'server', 'server'])
    expect(wrapper.seen).toEqual([`${server.origin}/v1/batches`, `${server.origin}/other`])
    expect(Object.keys(globalThis.fetch)).toContain('__patchedBySomebody')
  })

  test('gone again leave everything as it was', async () => {
    wrap()
    const scope = scopeNamed('a')
    globalThis.fetch = shim

    expect([await scope.run(call), await call()]).toEqual(['a', 'server'])
    expect(scope.batcher.passed.map(({ reason }) => reason)).toEqual(['outside-scope'])
  })

  test('that put the native fetch back are caught by the net, and by the next scope', async () => {
    const early = scopeNamed('early')
    globalThis.fetch = capturedFetch

    const caught = await early.run(call)
    const late = scopeNamed('late')

    expect(caught).toBe('early')
    expect(globalThis.fetch).not.toBe(capturedFetch)
    expect(await late.run(call)).toBe('late')
  })

  test('opening a scope leaves a shim in its place alone', () => {
    const before = globalThis.fetch

    scopeNamed('a')

    expect(globalThis.fetch).toBe(before)
  })

  test('are called with as many arguments as the caller gave', async () => {
    const calls: unknown[][] = []
    globalThis.fetch = (...call: unknown[]) => {
      calls.push(call)
      return Promise.resolve(Response.json({ from: 'mock' }))
    }
    const scope = scopeNamed('a')

    await scope.run(() => fetch(`${server.origin}/other`))

    expect(calls).toEqual([[`${server.origin}/other`]])
  })
})

describe('two copies of the package in one process', () => {
  let folder: string
  let copy: typeof import('../../src/intercept/scope.ts')

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'offpeak-copy-'))
    const source = fileURLToPath(new URL('../../src', import.meta.url))
    await cp(join(source, 'intercept'), join(folder, 'intercept'), { recursive: true })
    await cp(join(source, 'core'), join(folder, 'core'), { recursive: true })
    await writeFile(join(folder, 'package.json'), '{"type":"module"}')
    copy = await import(pathToFileURL(join(folder, 'intercept', 'scope.ts')).href)
  })

  afterAll(() => rm(folder, { recursive: true }))

  test.each(clients)('handle %s once, whichever scope it belongs to', async (_client, call) => {
    const batchers = ['mine', 'theirs'].map((name) =>
      fakeBatcher(`${server.origin}/v1`, { answer: () => ({ body: JSON.stringify({ from: name }) }) }),
    )
    const [mine, theirs] = [
      openScope(batchers[0] ?? fakeBatcher(''), { kind: 'context', timeouts: 'ignore' }),
      copy.openScope(batchers[1] ?? fakeBatcher(''), { kind: 'context', timeouts: 'ignore' }),
    ]
    opened.push(mine, theirs)

    const answers = [
      await mine.run(call),
      await theirs.run(call),
      await copy.bypass(call),
      await mine.run(() => theirs.run(call)),
    ]
    const asked = batchers.map((batcher) => batcher.asked.filter(({ url }) => url.includes('/v1/')).length)
    theirs.close()

    expect(copy.bypass).not.toBe(bypass)
    expect(answers).toEqual(['mine', 'theirs', 'server', 'theirs'])
    expect(asked[1]).toBe(2 * (asked[0] ?? 0))
    expect(await mine.run(call)).toBe('mine')
  })
})

describe('dispatchers', () => {
  test('set by the program later are netted when the next scope opens', async () => {
    const before = undici.getGlobalDispatcher()
    const agent = new undici.Agent()
    undici.setGlobalDispatcher(agent)
    try {
      const scope = scopeNamed('a')

      const answer = await scope.run(clients[2]?.[1] ?? (() => Promise.resolve()))

      expect(answer).toBe('a')
      expect(undici.getGlobalDispatcher()).toBeInstanceOf(undici.Agent)
    } finally {
      undici.setGlobalDispatcher(before)
      await agent.close()
    }
  })

  test('composed on top of the net keep it', async () => {
    const scope = scopeNamed('a')
    const before = undici.getGlobalDispatcher()
    const seen: string[] = []
    undici.setGlobalDispatcher(
      before.compose((dispatch) => (options, handler) => {
        seen.push(options.path)
        return dispatch(options, handler)
      }),
    )
    try {
      const answer = await scope.run(clients[2]?.[1] ?? (() => Promise.resolve()))

      expect(answer).toBe('a')
      expect(seen).toEqual(['/v1/chat'])
    } finally {
      undici.setGlobalDispatcher(before)
    }
  })

  test('are wrapped once, however many scopes open', () => {
    scopeNamed('a')
    const before = undici.getGlobalDispatcher()

    scopeNamed('b')

    expect(undici.getGlobalDispatcher()).toBe(before)
  })

  test('are asked for queries that travel beside the path', async () => {
    const scope = scopeNamed('a')

    await scope.run(() =>
      undici.request(`${server.origin}/v1/chat`, { method: 'POST', body: '{"a":1}', query: { tenant: 7 } }),
    )

    expect(scope.batcher.asked.at(-1)?.url).toBe(`${server.origin}/v1/chat?tenant=7`)
  })
})
