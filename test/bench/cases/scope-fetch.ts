import { batchify } from '../../../src/index.ts'
import { measure } from '../measure.ts'
import type { Order } from '../order.ts'
import type { Measurement } from '../results.ts'
import { chatBody, checkAnswers, contentOf, promptAt } from '../workload.ts'
import { scopeOptions } from './scope-options.ts'

/** Every prompt a call of `scope.fetch`, all at once. On a store that has the answers it is the re-run. */
export async function scopeFetch(order: Order): Promise<Measurement> {
  const { requests, baseUrl } = order
  const url = `${baseUrl}/chat/completions`
  const headers = { authorization: 'Bearer sk-bench', 'content-type': 'application/json' }
  let answers: string[] = []
  const measured = await measure(requests, async () => {
    await using scope = batchify(scopeOptions(order))
    const ask = async (n: number): Promise<string> => {
      const response = await scope.fetch(url, { method: 'POST', headers, body: JSON.stringify(chatBody(promptAt(n))) })
      return contentOf(await response.json())
    }
    answers = await Promise.all(Array.from({ length: requests }, (_, n) => ask(n)))
    await scope.close()
  })
  checkAnswers(answers, requests)
  return measured
}
