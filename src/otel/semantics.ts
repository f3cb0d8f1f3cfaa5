import type { Attributes } from '@opentelemetry/api'

/*
 * Names and values of the GenAI semantic conventions (status: development), as of November 2026:
 * https://github.com/open-telemetry/semantic-conventions-genai/blob/main/docs/gen-ai/gen-ai-spans.md
 */

/** Well-known values of `gen_ai.provider.name` that differ from the names used here; whoever is not among them keeps its own. */
const PROVIDER_NAMES: Readonly<Record<string, string>> = { gemini: 'gcp.gemini', mistral: 'mistral_ai', xai: 'x_ai' }

/** Well-known values of `gen_ai.operation.name`, by endpoint. The first that fits. */
const OPERATIONS: readonly (readonly [RegExp, string])[] = [
  [/embed/i, 'embeddings'],
  [/generateContent$/, 'generate_content'],
  [/(^|\/)(chat\/completions|messages|responses)$/, 'chat'],
  [/(^|\/)completions$/, 'text_completion'],
]

/** Where none of them fits a custom value is allowed: the endpoint in words, `images_generations`. */
export function operationOf(endpoint: string): string {
  const known = OPERATIONS.find(([pattern]) => pattern.test(endpoint))
  return known ? known[1] : endpoint.replace(/^\/?(v\d+\/)?/, '').replaceAll('/', '_')
}

/** What an event says of where a request goes. */
export interface Destination {
  readonly provider: string
  readonly endpoint: string
  readonly model: string
}

export function providerAttributes({ provider, model }: Destination): Attributes {
  return {
    'gen_ai.provider.name': PROVIDER_NAMES[provider] ?? provider,
    ...(model === '' ? {} : { 'gen_ai.request.model': model }),
  }
}

export function requestAttributes(destination: Destination): Attributes {
  return { 'gen_ai.operation.name': operationOf(destination.endpoint), ...providerAttributes(destination) }
}
