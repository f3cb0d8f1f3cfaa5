import { afterEach, expect, test } from 'vitest'
import { fakeBatcher } from '../../support/intercept.ts'

// As a Node might have it one day in which the shield cannot work.
Object.defineProperty(Request.prototype, 'signal', { configurable: false })
const { openScope } = await import('../../../src/intercept/scope.ts')

const warnings: Error[] = []
const onWarning = (warning: Error): void => void warnings.push(warning)
process.on('warning', onWarning)
afterEach(() => void process.off('warning', onWarning))

test('where a fetch cannot be shielded from its own timeout, that is said once, and scopes open all the same', async () => {
  const options = { kind: 'context', timeouts: 'ignore' } as const
  const batcher = fakeBatcher('https://api.example.com', { answer: () => ({}) })

  const scopes = [openScope(batcher, options), openScope(batcher, options)]
  await new Promise((resolve) => setImmediate(resolve))
  const answer = await scopes[0]?.run(() => fetch('https://api.example.com/v1', { method: 'POST', body: '{}' }))
  for (const scope of scopes) scope.close()

  expect(warnings.map(({ message }) => message)).toEqual([
    expect.stringContaining('cannot shield from its own timeout'),
  ])
  expect(await answer?.json()).toEqual({ from: 'batch' })
})
