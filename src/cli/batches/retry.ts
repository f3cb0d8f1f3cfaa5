import { setImmediate as turn } from 'node:timers/promises'
import type { JsonObject, Target } from '../../core/request.ts'
import { isObject } from '../../core/json.ts'
import type { OpenedScope } from '../../create.ts'
import { fingerprint } from '../../manager/accounts.ts'
import { readEnvelope } from '../../manager/caller.ts'
import type { BatchReader, StoredBatch, StoredJob } from '../../store/read-batches.ts'
import type { KeyFor } from './key.ts'

/** A batch with the key it was sent with. */
export interface Retried {
  readonly batch: StoredBatch
  readonly key: KeyFor & { readonly kind: 'same' }
}

export interface RetryTally {
  /** Sent again. */
  sent: number
  answered: number
  failed: number
  /** Failed, and were asked again already: by an earlier retry, or a later run. */
  alreadyRetried: number
  /** Why others could not be sent, by reason. */
  readonly unsent: Map<string, number>
}

/** What the engine says to those who wait when it stops before there is an answer. */
const NOT_RUN: ReadonlySet<string> = new Set(['deferred', 'cost_limit', 'scope_closed'])

/** Jobs are submitted in groups of this many, each written to the store before the next is read. */
const GROUP_JOBS = 256

/**
 * Asks again what has failed, as its program would: the same request at the same place, so that its next run finds the new answer there. A job
 * that failed has given up its place once somebody has asked again: it is left alone. Resolves once all are asked, and before they are answered.
 */
export async function submitFailures(
  reader: Pick<BatchReader, 'jobs'>,
  all: readonly Retried[],
  scope: Pick<OpenedScope, 'submit'>,
  tally: RetryTally,
): Promise<void> {
  let inGroup = 0
  for (const { batch, key } of all) {
    for (const job of reader.jobs(batch.intent.id, 'failed')) {
      if (job.occurrence === 0) {
        tally.alreadyRetried += 1
        continue
      }
      submit(batch, key, job, scope, tally)
      inGroup += 1
      if (inGroup % GROUP_JOBS === 0) await turn()
    }
  }
}

function submit(
  { intent }: StoredBatch,
  { headers }: Retried['key'],
  job: StoredJob,
  scope: Pick<OpenedScope, 'submit'>,
  tally: RetryTally,
): void {
  const unsent = (reason: string): void => void tally.unsent.set(reason, (tally.unsent.get(reason) ?? 0) + 1)
  const body = job.request
  const json = body === undefined ? undefined : objectIn(body)
  if (body === undefined || !json) return unsent('the request is no longer in the store')
  const target = targetOf(intent, job, body)
  if (!target) return unsent('the request in the store is not the one that was sent')
  const url = intent.baseUrl + job.endpoint
  const reply = scope.submit({ method: 'POST', url, target, headers, body, json, occurrence: job.occurrence })
  if (!reply) return unsent('its provider takes no such request in a batch')
  tally.sent += 1
  void reply.then(({ status, body: answer }) => {
    if (status < 400) tally.answered += 1
    else if (!NOT_RUN.has(readEnvelope(answer).code ?? '')) tally.failed += 1
  })
}

/** Some providers have the model in the URL and some in the body: its fingerprint tells. undefined: it is of another request. */
function targetOf(intent: StoredBatch['intent'], job: StoredJob, body: string): Target | undefined {
  const { provider, baseUrl, account } = intent
  const target = { provider, baseUrl, query: '', endpoint: job.endpoint }
  return [target, { ...target, model: job.model }].find(
    (each) => fingerprint({ target: each, body }, { id: account }) === job.fingerprint,
  )
}

function objectIn(text: string): JsonObject | undefined {
  try {
    const json: unknown = JSON.parse(text)
    return isObject(json) ? json : undefined
  } catch {
    return undefined
  }
}
