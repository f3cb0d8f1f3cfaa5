import type { Json, JsonObject } from '../../core/request.ts'
import type { RowError } from '../endpoint.ts'
import { invalid, type Detail } from './envelope.ts'

/** What is wrong with the value of one field; undefined: nothing. */
export type Check = (value: Json) => string | undefined

export interface Fields {
  /** Those that must be there, with what they must be. */
  readonly required: Readonly<Record<string, Check>>
  /** Those that may be. */
  readonly optional: readonly string[]
}

/** Mistral's validation of a body: complains of what is missing, wrong, or known to nobody. */
export function checkFields(body: JsonObject, { required, optional }: Fields): RowError | undefined {
  for (const [name, check] of Object.entries(required)) {
    const value = body[name]
    if (value === undefined) return complaint('missing', name, 'Field required', undefined)
    const problem = check(value)
    if (problem !== undefined) return complaint('value_error', name, problem, value)
  }
  const unknown = Object.keys(body).find((name) => !(name in required) && !optional.includes(name))
  return unknown === undefined
    ? undefined
    : complaint('extra_forbidden', unknown, 'Extra inputs are not permitted', body[unknown])
}

function complaint(type: string, name: string, msg: string, input: Json | undefined): RowError {
  const detail: Detail = { type, loc: ['body', name], msg }
  return invalid(input === undefined ? detail : { ...detail, input })
}

export const isText: Check = (value) => (typeof value === 'string' ? undefined : 'Input should be a valid string')

export const isList: Check = (value) =>
  Array.isArray(value) && value.length > 0 ? undefined : 'List should have at least 1 item after validation'

export const isTextOrTexts: Check = (value) => {
  const fits = Array.isArray(value)
    ? value.length > 0 && value.every((one: Json) => typeof one === 'string')
    : typeof value === 'string'
  return fits ? undefined : 'Input should be a valid string or list of strings'
}

export const isAnything: Check = () => undefined
