import type { Json } from '../../../core/request.ts'
import { isObject } from '../../json.ts'
import { conversationText } from '../../openai-like/conversation.ts'

/** Texts to embed or to judge: one, or several. */
export function textsOf(input: Json | undefined): readonly string[] {
  const inputs: readonly Json[] = Array.isArray(input) ? input : [input ?? '']
  return inputs.map((one) => (typeof one === 'string' ? one : JSON.stringify(one)))
}

/** Conversations to judge, each as one text: a list of messages, or of `{messages}`, or several such lists. */
export function conversationsOf(input: Json | undefined): readonly string[] {
  if (isObject(input)) return [conversationText(input['messages'])]
  if (!Array.isArray(input)) return []
  const isMessage = (one: Json): boolean => isObject(one) && 'role' in one
  if (input.every(isMessage)) return [conversationText(input)]
  return input.map((one: Json) => conversationText(isObject(one) ? one['messages'] : one))
}
