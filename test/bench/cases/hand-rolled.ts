import { setTimeout as sleep } from 'node:timers/promises'
import { measure } from '../measure.ts'
import type { Order } from '../order.ts'
import type { Measurement } from '../results.ts'
import { BATCH_BYTES, BATCH_ROWS, chatBody, checkAnswers, contentOf, promptAt, MODEL, POLL_MS } from '../workload.ts'

const headers = { authorization: 'Bearer sk-bench' }

/**
 * The yardstick: what a person writes who wants the batch price once and has no need of anything else. Nothing is durable,
 * nothing is retried, rows are held as an array, and the answers end up in a list in the order of the prompts.
 */
export async function handRolled({ baseUrl, requests }: Order): Promise<Measurement> {
  const answers: string[] = []
  const measured = await measure(requests, async () => {
    let rows: string[] = []
    let bytes = 0
    const send = async (): Promise<void> => {
      await runBatch(baseUrl, rows, answers)
      rows = []
      bytes = 0
    }
    for (let n = 0; n < requests; n += 1) {
      const row = {
        custom_id: `request-${n}`,
        method: 'POST',
        url: '/v1/chat/completions',
        body: chatBody(promptAt(n)),
      }
      const line = JSON.stringify(row)
      if (rows.length === BATCH_ROWS || bytes + line.length > BATCH_BYTES) await send()
      rows.push(line)
      bytes += line.length + 1
    }
    await send()
  })
  checkAnswers(answers, requests)
  return measured
}

async function runBatch(baseUrl: string, rows: readonly string[], answers: string[]): Promise<void> {
  const form = new FormData()
  form.set('purpose', 'batch')
  form.set('file', new Blob([rows.join('\n')]), 'requests.jsonl')
  const file = await call(`${baseUrl}/files`, { method: 'POST', body: form })
  let batch = await call(`${baseUrl}/batches`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      input_file_id: file['id'],
      endpoint: '/v1/chat/completions',
      completion_window: '24h',
      metadata: { model: MODEL },
    }),
  })
  while (batch['status'] !== 'completed') {
    await sleep(POLL_MS)
    batch = await call(`${baseUrl}/batches/${String(batch['id'])}`)
  }
  const output = await fetch(`${baseUrl}/files/${String(batch['output_file_id'])}/content`, { headers })
  for (const line of (await output.text()).split('\n')) {
    if (line === '') continue
    const { custom_id: id, response } = JSON.parse(line) as { custom_id: string; response: { body: unknown } } // our own simulator's
    answers[Number(id.slice('request-'.length))] = contentOf(response.body)
  }
}

async function call(url: string, init: RequestInit = {}): Promise<Record<string, unknown>> {
  const response = await fetch(url, { ...init, headers: { ...headers, ...(init.headers as Record<string, string>) } }) // only records are passed above
  if (!response.ok) throw new Error(`${url}: HTTP ${response.status} ${await response.text()}`)
  return (await response.json()) as Record<string, unknown> // whatever else it is, the next call refuses
}
