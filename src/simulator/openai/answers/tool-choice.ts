import type { Json, JsonObject } from '../../../core/request.ts'
import { isObject } from '../../json.ts'

export interface FunctionTool {
  readonly name: string
  readonly parameters: Json | undefined
}

/** `describe` finds name and parameters where this endpoint keeps them. */
export function functionTools(
  tools: Json | undefined,
  describe: (tool: JsonObject) => Json | undefined,
): readonly FunctionTool[] {
  if (!Array.isArray(tools)) return []
  return tools.flatMap((tool: Json) => {
    const described = isObject(tool) && tool['type'] === 'function' ? describe(tool) : undefined
    if (!isObject(described) || typeof described['name'] !== 'string') return []
    return [{ name: described['name'], parameters: described['parameters'] }]
  })
}

/** The tool a model would call here: one that must be called, or the first when the request asks for it. */
export function chosenTool(
  tools: readonly FunctionTool[],
  choice: Json | undefined,
  wantsTool: boolean,
): FunctionTool | undefined {
  if (isObject(choice)) {
    const named = isObject(choice['function']) ? choice['function']['name'] : choice['name']
    return tools.find(({ name }) => name === named)
  }
  if (choice === 'none') return undefined
  return choice === 'required' || wantsTool ? tools[0] : undefined
}
