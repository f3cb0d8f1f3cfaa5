import { isObject } from '../../core/json.ts'
import type { Json } from '../../core/request.ts'
import { instanceText, objectsIn } from './stub-text.ts'

/** A tool that a stub may call. `custom` ones take any text. */
export interface StubTool {
  readonly kind: 'function' | 'custom'
  readonly name: string
  readonly schema: Json | undefined
}

/** Which of its tools a request makes a model call: none in particular, any of those named (all, where none is), or none at all. */
export type Forced = 'nothing' | { readonly names: readonly string[] }

/**
 * The tool to call where a request leaves no choice but to call one; undefined: answer in words, as a model may. With each result that has come
 * in it is the next one's turn, so that a loop which ends with a particular tool does end.
 */
export function forcedTool(tools: readonly StubTool[], forced: Forced, results: number): StubTool | undefined {
  if (forced === 'nothing') return undefined
  const { names } = forced
  const callable = names.length === 0 ? tools : tools.filter(({ name }) => names.includes(name))
  return callable[results % callable.length]
}

/** Arguments that its schema accepts, or text. */
export function stubArguments({ kind, schema }: StubTool): string {
  return kind === 'custom' ? 'dry run' : instanceText(schema)
}

/** `tools` of OpenAI's endpoints: chat has name and parameters in an object of their own, responses has not. */
export function openaiTools(tools: Json | undefined): readonly StubTool[] {
  return objectsIn(tools).flatMap((tool): StubTool[] => {
    const kind = tool.type
    if (kind !== 'function' && kind !== 'custom') return []
    const inner = tool[kind]
    const { name, parameters: schema } = isObject(inner) ? inner : tool
    return typeof name === 'string' ? [{ kind, name, schema }] : []
  })
}

/** `tool_choice` of OpenAI's endpoints, and Mistral's older word for `required`. */
export function openaiForced(choice: Json | undefined): Forced {
  if (choice === 'required' || choice === 'any') return { names: [] }
  if (!isObject(choice)) return 'nothing'
  const allowed = isObject(choice['allowed_tools']) ? choice['allowed_tools'] : choice
  if (choice.type === 'allowed_tools') {
    return allowed['mode'] === 'required' ? { names: objectsIn(allowed['tools']).flatMap(nameOf) } : 'nothing'
  }
  // A tool that the provider runs itself ends in words.
  const names = nameOf(choice)
  return names.length === 0 ? 'nothing' : { names }
}

function nameOf(tool: Json): readonly string[] {
  if (!isObject(tool)) return []
  const inner = tool['function'] ?? tool['custom']
  const { name } = isObject(inner) ? inner : tool
  return typeof name === 'string' ? [name] : []
}
