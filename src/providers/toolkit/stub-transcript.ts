import type { JsonObject } from '../../core/request.ts'
import { STUB_TEXT } from './stub-text.ts'

/** An answer of OpenAI's transcriptions and translations, in either of their JSON formats. */
export function transcriptStub({ response_format: format, language }: JsonObject, endpoint: string): JsonObject {
  if (format !== 'verbose_json') return { text: STUB_TEXT }
  const segment = {
    id: 0,
    seek: 0,
    start: 0,
    end: 1,
    text: STUB_TEXT,
    tokens: [],
    temperature: 0,
    avg_logprob: 0,
    compression_ratio: 1,
    no_speech_prob: 0,
  }
  return {
    task: endpoint.endsWith('translations') ? 'translate' : 'transcribe',
    language: typeof language === 'string' ? language : 'en',
    duration: 1,
    text: STUB_TEXT,
    segments: [segment],
    words: [{ word: STUB_TEXT, start: 0, end: 1 }],
  }
}
