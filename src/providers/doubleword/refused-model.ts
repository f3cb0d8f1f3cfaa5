import { z } from 'zod'
import type { BatchInput } from '../../core/adapter.ts'
import type { BatchProblem } from '../../core/batch.ts'
import { ProviderError } from '../../core/errors.ts'
import { readLines } from '../toolkit/read-lines.ts'

const Line = z.object({ body: z.object({ model: z.string() }) })

/** A refused input of which more rows are known to be to blame than the refusal names. */
export class RefusedModel extends ProviderError {
  readonly rows: readonly BatchProblem[]
  readonly isEveryRow: boolean
  constructor(
    { status, code, body, retryAfterMs, message }: ProviderError,
    rows: readonly BatchProblem[],
    jobs: number,
  ) {
    super(status, code, body, retryAfterMs, message)
    this.rows = rows
    this.isEveryRow = rows.length === jobs
  }
}

/**
 * A complaint about the model of one row is about all that ask for it. The server names the first only: told of one at a time, the others of
 * the batch would be refused with them before the last is found.
 */
export async function withItsRows(
  error: ProviderError,
  named: BatchProblem,
  { blob, jobs }: BatchInput,
): Promise<ProviderError> {
  const models: (string | undefined)[] = []
  for await (const lines of readLines(new Response(blob))) models.push(...lines.map(modelOf))
  const refused = named.line === undefined ? undefined : models[named.line - 1]
  if (refused === undefined) return error
  const rows = models.flatMap((model, index) => (model === refused ? [{ ...named, line: index + 1 }] : []))
  return new RefusedModel(error, rows, jobs)
}

function modelOf(line: string): string | undefined {
  return Line.safeParse(JSON.parse(line)).data?.body.model
}
