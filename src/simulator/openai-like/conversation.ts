import type { Json } from '../../core/request.ts'
import { answerText, contentText } from '../endpoint.ts'
import { isObject } from '../json.ts'
import { instanceOf } from '../../core/schema-instance.ts'

/** An answer in the format that was asked for: text, any JSON, or JSON of a schema. */
export function formatted(format: Json | undefined, digest: string, prompt: string): string {
  const text = answerText(digest, prompt)
  if (!isObject(format)) return text
  if (format['type'] === 'json_object') return JSON.stringify({ answer: text })
  const schema = format['type'] === 'json_schema' && isObject(format['json_schema']) ? format['json_schema'] : undefined
  return schema ? JSON.stringify(instanceOf(schema['schema'], text)) : text
}

/** What the user said last. */
export function lastUserText(messages: Json | undefined): string {
  if (!Array.isArray(messages)) return ''
  const last: Json | undefined = messages.findLast((message: Json) => isObject(message) && message['role'] === 'user')
  return isObject(last) ? contentText(last['content']) : ''
}

/** Everything that was said. */
export function conversationText(messages: Json | undefined): string {
  if (!Array.isArray(messages)) return ''
  return messages.map((message: Json) => (isObject(message) ? contentText(message['content']) : '')).join('\n')
}

/** Whether the last word was a tool's. */
export function endsInToolResult(messages: Json | undefined): boolean {
  const last: unknown = Array.isArray(messages) ? messages.at(-1) : undefined
  return isObject(last) && last['role'] === 'tool'
}
