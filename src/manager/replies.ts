import type { ProviderAdapter } from '../core/adapter.ts'
import type { Answer, JobId } from '../core/job.ts'
import type { Problem, Reply } from '../core/reply.ts'

interface About {
  readonly job: JobId | undefined
  readonly batch: string | undefined
  readonly cache: 'hit' | 'miss'
}

/** A provider's answer as the SDK expects to see it. Failures say that trying again changes nothing: SDKs would make a new batch of it. */
export function answerReply(adapter: ProviderAdapter, answer: Answer, about: About, json?: unknown): Reply {
  const headers: Record<string, string> = {
    'content-type': 'application/json',
    'x-offpeak-cache': about.cache,
  }
  if (answer.requestId !== undefined) headers[adapter.requestIdHeader] = answer.requestId
  if (about.batch !== undefined) headers['x-offpeak-batch'] = about.batch
  if (about.job !== undefined) headers['x-offpeak-job'] = String(about.job)
  if (answer.status >= 400) headers['x-should-retry'] = 'false'
  return { status: answer.status, headers, body: answer.body, json }
}

/** A refusal offpeak words itself, in the provider's envelope. */
export function problemAnswer(adapter: ProviderAdapter, problem: Problem): Answer {
  return { status: problem.status, requestId: undefined, body: adapter.envelope(problem) }
}
