/** Names that look like Anthropic's: today's and tomorrow's models. */
const FAMILY = /^claude-/

/** What a list of models shows. */
export const LISTED_MODELS: readonly string[] = [
  'claude-opus-5-5',
  'claude-sonnet-5-5',
  'claude-haiku-5-5',
  'claude-opus-4-8',
  'claude-sonnet-4-6',
  'claude-haiku-4-5',
]

export function isModel(name: string, further: readonly string[]): boolean {
  return FAMILY.test(name) || further.includes(name)
}

export function modelObject(id: string): Record<string, unknown> {
  return {
    type: 'model',
    id,
    display_name: id,
    created_at: '2026-01-01T00:00:00Z',
    deprecated_at: null,
    retires_at: null,
    lifecycle: 'active',
    line: null,
    capabilities: null,
    max_input_tokens: 200_000,
    max_tokens: 64_000,
  }
}
