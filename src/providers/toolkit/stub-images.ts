import type { JsonObject } from '../../core/request.ts'
import { countOf, STUB_TEXT } from './stub-text.ts'

/** A PNG of one transparent pixel. */
export const PIXEL = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=='

/** An answer of OpenAI's image endpoints. The older models give a URL unless asked otherwise; this one can be read without a network. */
export function imagesStub({ model, n, response_format: format, size }: JsonObject): JsonObject {
  const isUrl = format === 'url' || (typeof model === 'string' && model.startsWith('dall-e') && format !== 'b64_json')
  const image = isUrl ? { url: `data:image/png;base64,${PIXEL}` } : { b64_json: PIXEL }
  return {
    created: 0,
    background: 'opaque',
    data: Array.from({ length: countOf(n) }, () => ({ ...image, revised_prompt: STUB_TEXT })),
    output_format: 'png',
    quality: 'low',
    size: typeof size === 'string' && size !== 'auto' ? size : '1024x1024',
    usage: {
      input_tokens: 0,
      input_tokens_details: { image_tokens: 0, text_tokens: 0 },
      output_tokens: 0,
      total_tokens: 0,
    },
  }
}
