import { randomUUID } from 'node:crypto'
import type { Batch } from '../batches/batch.ts'
import { createBatchBook } from '../batches/book.ts'
import { isObject, parseJson } from '../json.ts'
import { readBlocks } from '../lines.ts'
import { seconds } from '../openai-like/wire.ts'
import { jsonReply, type Exchange, type Reply, type World } from '../provider.ts'
import { isFinal, type Phase } from '../timeline.ts'
import { mistralDialect } from './dialect.ts'
import type { Endpoints } from './endpoints.ts'
import { refuse } from './envelope.ts'
import { pagingOf, type FileKind } from './files.ts'
import { readOrder, type JobOrder } from './read-order.ts'

const HOUR_MS = 60 * 60 * 1000
/** The batch guide says 1,000,000, the page of known limitations 100,000. */
const MAX_ROWS = 100_000
const MAX_PAGE = 1000

/** All batch jobs of one simulator, and what can be asked about them. */
export interface Jobs {
  create(exchange: Exchange): Promise<Reply>
  retrieve(exchange: Exchange, id: string): Promise<Reply>
  list(exchange: Exchange): Promise<Reply>
  cancel(exchange: Exchange, id: string): Promise<Reply>
  remove(exchange: Exchange, id: string): Promise<Reply>
  /** Brings the ledger up to date with the clock. */
  settle(): void
  close(): Promise<void>
}

const STATUSES: Readonly<Record<Phase, string>> = {
  validating: 'QUEUED',
  in_progress: 'RUNNING',
  finalizing: 'RUNNING',
  completed: 'SUCCESS',
  failed: 'FAILED',
  expired: 'TIMEOUT_EXCEEDED',
  cancelling: 'CANCELLATION_REQUESTED',
  cancelled: 'CANCELLED',
}

export function createJobs(world: World, endpoints: Endpoints): Jobs {
  const book = createBatchBook<JobOrder>(world)

  async function find({ account }: Exchange, id: string): Promise<Batch<JobOrder>> {
    return (await book.find(account, id)) ?? refuse(404, 'Job not found')
  }

  return {
    async create(exchange) {
      const order = await readOrder(world, endpoints, exchange)
      const { endpoint, model, input, timeoutHours } = order
      const batch = book.open({
        id: randomUUID(),
        account: exchange.account,
        dialect: mistralDialect({ endpoint, model, maxRows: world.limits.jobs ?? MAX_ROWS }),
        input,
        windowMs: timeoutHours * HOUR_MS,
        details: order,
        resultFile(channel, endedAt) {
          const purpose: FileKind = channel === 'output' ? 'batch_result' : 'batch_error'
          const id = randomUUID()
          return { id, name: `${id}.jsonl`, purpose, createdAt: endedAt, expiresAt: undefined }
        },
      })
      return jsonReply(200, jobObject(batch))
    },
    async retrieve(exchange, id) {
      const job = await find(exchange, id)
      // Recorded traffic shows them for inline jobs without being asked.
      const wanted = job.details.inline || exchange.query.get('inline') === 'true'
      return jsonReply(200, { ...jobObject(job), outputs: wanted ? await outputsOf(job) : null })
    },
    async list({ account, query }) {
      const { page, size } = pagingOf(query, MAX_PAGE)
      const all = book.list(account)
      await Promise.all(all.map((job) => job.ready()))
      const jobs = all.map(jobObject).filter((job) => isWanted(job, query))
      if (query.get('order_by') === 'created') jobs.reverse()
      return jsonReply(200, { data: jobs.slice(page * size, (page + 1) * size), object: 'list', total: jobs.length })
    },
    async cancel(exchange, id) {
      const job = await find(exchange, id)
      const { phase } = job.view()
      if (isFinal(phase)) return refuse(400, `Cannot cancel a job that is ${STATUSES[phase]}.`)
      job.cancel()
      return jsonReply(200, jobObject(job))
    },
    async remove(exchange, id) {
      const job = await find(exchange, id)
      const { phase } = job.view()
      if (!isFinal(phase)) return refuse(400, `Cannot delete a job that is ${STATUSES[phase]}.`)
      book.remove(job)
      return jsonReply(200, { id, object: 'batch', deleted: true })
    },
    settle: () => book.settle(),
    close: () => book.close(),
  }
}

/** The filters of a list, all of which a job must pass; `metadata` is not among them (see the reference on why). */
function isWanted(job: Record<string, unknown>, query: URLSearchParams): boolean {
  const statuses = query.getAll('status')
  if (statuses.length > 0 && !statuses.includes(String(job['status']))) return false
  const model = query.get('model')
  if (model !== null && job['model'] !== model) return false
  const after = query.get('created_after')
  return after === null || Number(job['created_at']) >= Date.parse(after) / 1000
}

async function outputsOf(job: Batch<JobOrder>): Promise<readonly unknown[] | null> {
  const { output } = job.view().results
  if (!output) return null
  // Results may be written only when they are asked for.
  await output.bytes()
  const outputs: unknown[] = []
  for await (const { lines } of readBlocks(output.path)) {
    // A row that is no JSON can be in a file, but not in here.
    outputs.push(...lines.map((line) => parseJson(line)).filter((line) => isObject(line)))
  }
  return outputs
}

function jobObject(job: Batch<JobOrder>): Record<string, unknown> {
  const { phase, entered, createdAt, counts, unexecuted, problem, results } = job.view()
  const { endpoint, model, agentId, inputFiles, metadata } = job.details
  const at = (entry: Phase): number | null => (entered[entry] === undefined ? null : seconds(entered[entry]))
  const failed = counts.failed - unexecuted
  return {
    id: job.id,
    object: 'batch',
    input_files: inputFiles,
    metadata,
    endpoint: endpoint.path,
    model: model ?? null,
    agent_id: agentId,
    output_file: results.output?.id ?? null,
    error_file: results.errors?.id ?? null,
    errors: problem ? [{ message: problem.message, count: 1 }] : [],
    outputs: null,
    status: STATUSES[phase],
    created_at: seconds(createdAt),
    total_requests: counts.total,
    completed_requests: counts.completed + failed,
    succeeded_requests: counts.completed,
    failed_requests: failed,
    started_at: at('in_progress'),
    completed_at: isFinal(phase) ? at(phase) : null,
  }
}
