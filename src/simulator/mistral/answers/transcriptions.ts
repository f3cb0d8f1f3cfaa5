import type { JsonObject } from '../../../core/request.ts'
import { answerText, contentText, type Endpoint } from '../../endpoint.ts'
import { checkFields, isAnything, type Fields } from '../check-fields.ts'
import { invalid } from '../envelope.ts'
import { usageOf } from './usage.ts'

/** `AudioTranscriptionRequest` of the SDK 2.7. */
const FIELDS: Fields = {
  required: { model: isAnything },
  optional: [
    'context_bias',
    'diarize',
    'file',
    'file_id',
    'file_url',
    'language',
    'stream',
    'temperature',
    'timestamp_granularities',
  ],
}
/** How long every recording is. */
const SECONDS = 3

export const transcriptions: Endpoint = {
  path: '/v1/audio/transcriptions',
  defaultModel: undefined,
  check(body) {
    const problem = checkFields(body, FIELDS)
    if (problem) return problem
    if (sourceOf(body) !== '') return undefined
    return invalid({ type: 'value_error', loc: ['body'], msg: 'One of file, file_url and file_id must be given' })
  },
  prompt: sourceOf,
  answer(body, { digest, model }) {
    const text = answerText(digest, sourceOf(body))
    const timed = Array.isArray(body['timestamp_granularities'])
    return {
      model,
      text,
      language: body['language'] ?? null,
      segments: timed ? [{ type: 'transcription_segment', text, start: 0, end: SECONDS }] : [],
      usage: { ...usageOf(sourceOf(body), text), prompt_audio_seconds: SECONDS },
    }
  },
  events: undefined,
}

function sourceOf(body: JsonObject): string {
  return contentText(body['file_url'] ?? body['file_id'] ?? body['file'])
}
