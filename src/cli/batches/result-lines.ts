import type { BatchReader, StoredBatch, StoredJob } from '../../store/read-batches.ts'
import { nameOf } from './select.ts'

/** A line of JSON for each settled job of some batches, read as they are asked for. */
export function* resultLines(
  reader: Pick<BatchReader, 'jobs'>,
  batches: readonly StoredBatch[],
  which: 'settled' | 'failed',
): Generator<string> {
  for (const batch of batches) {
    for (const job of reader.jobs(batch.intent.id, which)) yield resultLine(batch, job)
  }
}

function resultLine(batch: StoredBatch, job: StoredJob): string {
  const { endpoint, model, status, request, answer, tokens, costUsd, liveCostUsd } = job
  const about = { job: job.job, batch: nameOf(batch), provider: batch.intent.provider, endpoint, model, status }
  const isAnswered = job.state === 'answered'
  const bodies = [
    ...(request === undefined ? [] : [`"request":${onOneLine(request)}`]),
    `"${isAnswered ? 'response' : 'error'}":${isAnswered ? onOneLine(answer) : jsonOf(answer)}`,
  ]
  const hasUsage = tokens.input !== undefined || tokens.output !== undefined
  const rest = { ...(hasUsage ? { usage: tokens } : {}), costUsd, liveCostUsd }
  return `${inner(about)},${bodies.join(',')}${joined(rest)}}\n`
}

function inner(fields: Readonly<Record<string, unknown>>): string {
  return JSON.stringify(fields).slice(0, -1)
}

function joined(fields: Readonly<Record<string, unknown>>): string {
  const text = JSON.stringify(fields).slice(1, -1)
  return text === '' ? '' : `,${text}`
}

/** JSON text as it came. A line break in it can only be between two of its tokens. */
function onOneLine(json: string): string {
  return /[\r\n]/.test(json) ? json.replaceAll(/[\r\n]+/g, ' ') : json
}

/** What a provider says of a failure need not be JSON. */
function jsonOf(text: string): string {
  try {
    JSON.parse(text)
    return onOneLine(text)
  } catch {
    return JSON.stringify(text)
  }
}
