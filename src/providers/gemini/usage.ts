import { z } from 'zod'
import type { Usage } from '../../core/reply.ts'
import { embeddedTokens } from './rows.ts'

const Tokens = z.number().nullish().catch(null)
const Answer = z.object({
  usageMetadata: z.object({
    promptTokenCount: z.number(),
    toolUsePromptTokenCount: Tokens,
    candidatesTokenCount: Tokens,
    thoughtsTokenCount: Tokens,
    cachedContentTokenCount: Tokens,
  }),
})

/** Thoughts are output beside the candidates; what tools brought in is input beside the prompt [types of @google/genai 3.1]. */
export function readUsage(json: unknown): Usage | undefined {
  const parsed = Answer.safeParse(json)
  if (!parsed.success) {
    const input = embeddedTokens(json)
    return input === undefined || !Number.isFinite(input) ? undefined : { input, output: 0 }
  }
  const { usageMetadata: usage } = parsed.data
  const reasoning = usage.thoughtsTokenCount ?? undefined
  const cachedInput = usage.cachedContentTokenCount ?? undefined
  return {
    input: usage.promptTokenCount + (usage.toolUsePromptTokenCount ?? 0),
    output: (usage.candidatesTokenCount ?? 0) + (reasoning ?? 0),
    ...(cachedInput === undefined ? {} : { cachedInput }),
    ...(reasoning === undefined ? {} : { reasoning }),
  }
}
