import type { Json, JsonObject } from '../../../core/request.ts'
import { answerText, contentText, type Endpoint } from '../../endpoint.ts'
import { isObject } from '../../json.ts'
import { formatted } from '../../openai-like/conversation.ts'
import { checkFields, isAnything, type Check, type Fields } from '../check-fields.ts'

const isDocument: Check = (document) =>
  sourceOf(document) === '' ? 'Input should be a document_url, an image_url or a file' : undefined

/** `OCRRequest` of the SDK 2.7. */
const FIELDS: Fields = {
  required: { model: isAnything, document: isDocument },
  optional: [
    'bbox_annotation_format',
    'confidence_scores_granularity',
    'document_annotation_format',
    'document_annotation_prompt',
    'extract_footer',
    'extract_header',
    'id',
    'image_limit',
    'image_min_size',
    'include_blocks',
    'include_image_base64',
    'pages',
    'table_format',
  ],
}

export const ocr: Endpoint = {
  path: '/v1/ocr',
  defaultModel: 'mistral-ocr-latest',
  check: (body) => checkFields({ model: 'mistral-ocr-latest', ...body }, FIELDS),
  prompt: promptOf,
  answer(body, { digest, model }) {
    const indexes = pagesOf(body['pages'])
    const format = body['document_annotation_format']
    return {
      pages: indexes.map((index) => ({
        index,
        markdown: answerText(digest, promptOf(body)),
        images: [],
        tables: [],
        hyperlinks: [],
        header: null,
        footer: null,
        dimensions: { dpi: 200, height: 2200, width: 1700 },
      })),
      model,
      document_annotation: isObject(format) ? formatted(format, digest, promptOf(body)) : null,
      usage_info: { pages_processed: indexes.length, doc_size_bytes: null },
    }
  },
  events: undefined,
}

/** Every document has one page, unless pages are asked for. */
function pagesOf(pages: Json | undefined): readonly number[] {
  return Array.isArray(pages) && pages.length > 0 ? pages.map(Number) : [0]
}

function promptOf(body: JsonObject): string {
  const asked = contentText(body['document_annotation_prompt'])
  return asked === '' ? sourceOf(body['document']) : asked
}

/** Where the document is. */
function sourceOf(document: Json | undefined): string {
  if (!isObject(document)) return ''
  const { document_url: url, image_url: image, file_id: file } = document
  const inner = isObject(image) ? image['url'] : image
  return contentText(url ?? inner ?? file)
}
