import { z } from 'zod'
import type { Call } from '../../core/adapter.ts'
import { turnPages } from './look-up.ts'
import { OpenaiBatch } from './openai-batch.ts'
import { readReply } from './replies.ts'

/** Batches of one page, at most: what OpenAI and Doubleword allow. */
export const LIST_LIMIT = 100

const BatchList = z.object({
  data: z.array(OpenaiBatch),
  has_more: z.boolean().nullish(),
  last_id: z.string().nullish(),
})

/** The account's batches, the newest first, by the cursor `after`. `further`: what else to ask for. */
export function listPages(
  call: Call,
  further: Readonly<Record<string, string>> = {},
): AsyncGenerator<readonly OpenaiBatch[]> {
  return turnPages(async (after) => {
    const query = { limit: String(LIST_LIMIT), ...further, ...(after === undefined ? {} : { after }) }
    const page = await readReply(await call.send({ method: 'GET', path: '/batches', query }), BatchList)
    const last = page.last_id ?? page.data.at(-1)?.id
    const hasMore = page.data.length > 0 && (page.has_more ?? page.data.length >= LIST_LIMIT)
    return { items: page.data, next: hasMore ? last : undefined }
  })
}
