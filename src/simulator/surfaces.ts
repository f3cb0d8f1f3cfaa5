import { anthropic } from './anthropic.ts'
import { doubleword } from './doubleword.ts'
import { gemini } from './gemini.ts'
import { groq } from './groq.ts'
import { mistral } from './mistral.ts'
import { openai } from './openai.ts'
import type { SurfaceDefinition } from './provider.ts'
import { together } from './together.ts'
import { xai } from './xai.ts'

/** Every provider the simulator plays, each under a path of its own: one server plays them all. */
export const SURFACES: readonly SurfaceDefinition[] = [
  openai,
  anthropic,
  gemini,
  groq,
  mistral,
  together,
  doubleword,
  xai,
]

/** The path a provider's base URL ends in. */
export function prefixOf(provider: string): string {
  const surface = SURFACES.find(({ name }) => name === provider)
  if (surface) return surface.prefix
  const names = SURFACES.map(({ name }) => name).join(', ')
  throw new Error(`the simulator does not play "${provider}"; it plays ${names}`)
}
