// Run with --expose-gc: leaves calls pending that nobody holds but us, collects garbage, aborts them, and prints how many heard of it.
const capturedFetch = globalThis.fetch
const { openScope } = await import('../../src/intercept/scope.ts')
const undici = await import('undici')

const collect = globalThis.gc
if (!collect) throw new Error('run with --expose-gc')

const CALLS = 20
const url = 'http://api.example.com/v1/chat'
const post = { method: 'POST', body: '{"model":"m"}' } as const

// Not a captured fetch of a Request: Node itself loses the abort of a Request that nobody holds, and only in front of it could we.
const clients: Record<string, (signal: AbortSignal) => Promise<unknown>> = {
  'the global fetch': (signal) => fetch(url, { ...post, signal }),
  'the global fetch of a Request': (signal) => fetch(new Request(url, { ...post, signal })),
  'a fetch captured before import': (signal) => capturedFetch(url, { ...post, signal }),
  'undici.request': (signal) => undici.request(url, { ...post, signal }),
}

const target = { provider: 'fake', baseUrl: url, query: '', endpoint: '/v1/chat' }
let pending = 0
let allPending = Promise.withResolvers<void>()
const scope = openScope(
  {
    match: () => target,
    submit() {
      pending += 1
      if (pending === CALLS) allPending.resolve()
      // Held by nobody, as the worst of batchers might.
      return new Promise(() => {})
    },
    passedThrough() {},
  },
  { kind: 'context', timeouts: 'ignore' },
)

// Pending calls do not keep a process alive.
const alive = setInterval(() => {}, 1000)

const aborted: Record<string, number> = {}
for (const [name, send] of Object.entries(clients)) {
  pending = 0
  allPending = Promise.withResolvers()
  aborted[name] = 0
  const controllers = Array.from({ length: CALLS }, () => {
    const controller = new AbortController()
    scope.run(() => send(controller.signal)).catch(() => (aborted[name] = (aborted[name] ?? 0) + 1))
    return controller
  })
  await allPending.promise
  for (let round = 0; round < 5; round += 1) {
    await new Promise((resolve) => setImmediate(resolve))
    collect()
  }
  for (const controller of controllers) controller.abort()
  for (let round = 0; round < 5; round += 1) await new Promise((resolve) => setImmediate(resolve))
}

clearInterval(alive)
process.stdout.write(JSON.stringify(aborted))
