const FAMILIES = /^grok-/

export const LISTED_MODELS: readonly string[] = ['grok-4', 'grok-4-fast', 'grok-3-mini', 'grok-2-image']

export function isModel(name: string, further: readonly string[]): boolean {
  return FAMILIES.test(name) || further.includes(name)
}
