import { expect, test } from 'vitest'
import { estimating } from '../../src/dry-run/estimating.ts'

const target = { provider: 'openai', endpoint: '/v1/responses', model: 'gpt-5' }
const request = {
  ...target,
  at: Date.UTC(2026, 10, 20),
  body: { input: 'four words of text', max_output_tokens: 1000 },
}

/** So many answers, twice as long as estimated, each with a tenth of what was allowed. */
function taughtBy(n: number) {
  const state = JSON.stringify({
    input: { n, estimated: 100 * n, actual: 200 * n },
    output: { n, sum: 100 * n, squares: 10_000 * n },
    share: { n, sum: 0.1 * n, squares: 0.01 * n },
  })
  return [{ ...target, state }]
}
const exactly = (tokens: number) => () => Promise.resolve(() => tokens)
const notInstalled = () => Promise.resolve(undefined)

test('what many answers have taught corrects the estimate, and goes before a tokenizer', async () => {
  const untaught = estimating([], notInstalled)
  const taught = estimating(taughtBy(1000), exactly(77))
  await Promise.all([untaught.ready, taught.ready])

  const { input, output } = taught.estimate(request)
  expect(input.tokens / untaught.estimate(request).input.tokens).toBeCloseTo(2, 0)
  expect(input.tokens).toBeLessThan(77)
  expect(output.likely).toBeCloseTo(100, -1)
})

test('a tokenizer counts where answers have taught little of the input, and they tell of the output all the same', async () => {
  const { estimate, ready } = estimating(taughtBy(15), exactly(77))
  await ready

  const { input, output } = estimate(request)
  expect(input.tokens).toBeGreaterThanOrEqual(77)
  expect(input.tokens).toBeLessThan(90)
  expect(output.likely).toBeLessThan(200)
})

test('what another version wrote in a form of its own teaches nothing', async () => {
  const { estimate, ready } = estimating([{ ...target, state: 'of another form' }], notInstalled)
  await ready

  expect(estimate(request)).toEqual(estimating([], notInstalled).estimate(request))
})
