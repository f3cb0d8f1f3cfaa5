import type { Json, JsonObject } from '../../core/request.ts'
import { countOf, OPENAI_USAGE, STUB_TEXT, stubId } from './stub-text.ts'

/** An answer of OpenAI's older completions: so many for each prompt. */
export function completionsStub(body: JsonObject): JsonObject {
  return {
    id: stubId('cmpl-'),
    object: 'text_completion',
    created: 0,
    model: body.model ?? '',
    choices: Array.from({ length: promptsIn(body.prompt) * countOf(body.n) }, (_, index) => ({
      text: STUB_TEXT,
      index,
      logprobs: null,
      finish_reason: 'stop',
    })),
    usage: OPENAI_USAGE,
  }
}

/** A list of numbers is one prompt, in tokens. */
function promptsIn(prompt: Json | undefined): number {
  return Array.isArray(prompt) && typeof prompt[0] !== 'number' ? Math.max(1, prompt.length) : 1
}
