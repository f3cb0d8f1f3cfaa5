import type { Usage } from '../../core/reply.ts'

/** Tokens as chat completions, responses and embeddings tell them. */
export function readUsage(json: unknown): Usage | undefined {
  const usage = objectAt(json, 'usage')
  if (!usage) return undefined
  const input = numberAt(usage, 'prompt_tokens') ?? numberAt(usage, 'input_tokens')
  if (input === undefined) return undefined
  const output = numberAt(usage, 'completion_tokens') ?? numberAt(usage, 'output_tokens') ?? 0
  const cachedInput = numberAt(
    objectAt(usage, 'prompt_tokens_details') ?? objectAt(usage, 'input_tokens_details'),
    'cached_tokens',
  )
  const reasoning = numberAt(
    objectAt(usage, 'completion_tokens_details') ?? objectAt(usage, 'output_tokens_details'),
    'reasoning_tokens',
  )
  return {
    input,
    output,
    ...(cachedInput === undefined ? {} : { cachedInput }),
    ...(reasoning === undefined ? {} : { reasoning }),
  }
}

function objectAt(value: unknown, key: string): object | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  const found: unknown = Reflect.get(value, key)
  return typeof found === 'object' && found !== null ? found : undefined
}

function numberAt(value: object | undefined, key: string): number | undefined {
  const found: unknown = value && Reflect.get(value, key)
  return typeof found === 'number' ? found : undefined
}
