import type { JsonObject } from '../../core/request.ts'
import { answerText, type Answer, type Endpoint } from '../endpoint.ts'
import { badRequest } from '../openai/envelope.ts'

export interface AudioRules {
  readonly path: '/v1/audio/transcriptions' | '/v1/audio/translations'
  /** Where the audio may come from: the name of one of these is its prompt. */
  readonly sources: readonly ('file' | 'url')[]
  readonly defaultModel: string | undefined
}

/** Speech to text. What it hears is the address of the audio. */
export function audioEndpoint({ path, sources, defaultModel }: AudioRules): Endpoint {
  const sourceOf = (body: JsonObject): string => {
    const found = sources.map((name) => body[name]).find((value) => typeof value === 'string' && value !== '')
    return typeof found === 'string' ? found : ''
  }
  return {
    path,
    defaultModel,
    check(body) {
      if (sourceOf(body) !== '') return undefined
      const names = sources.map((name) => `\`${name}\``).join(' or ')
      return badRequest(`One of ${names} must be provided.`, sources[0] ?? null, 'missing_required_parameter')
    },
    prompt: sourceOf,
    answer: (body, { digest }) => transcript(body, answerText(digest, sourceOf(body)), path),
    events: undefined,
  }
}

function transcript(body: JsonObject, text: string, path: string): Answer {
  if (body['response_format'] !== 'verbose_json') return { text }
  return {
    task: path.endsWith('translations') ? 'translate' : 'transcribe',
    language: typeof body['language'] === 'string' ? body['language'] : 'en',
    duration: 1.5,
    text,
    segments: [{ id: 0, start: 0, end: 1.5, text }],
  }
}
