import type { Json, JsonObject } from '../../core/request.ts'
import { isObject } from '../json.ts'
import type { Detail } from './envelope.ts'

/** What a field of a message may hold. A plain value (a scalar, an enum, a Struct) is not looked into. */
export type Field =
  | { readonly kind: 'value'; readonly repeated: boolean }
  | { readonly kind: 'message'; readonly repeated: boolean; readonly message: () => Message }
  /** By names of the sender's own. */
  | { readonly kind: 'map'; readonly message: () => Message }

/** A protocol buffer as far as its JSON form is checked here: the names of its fields. */
export interface Message {
  readonly type: string
  readonly fields: Readonly<Record<string, Field>>
}

export const value: Field = { kind: 'value', repeated: false }
export const values: Field = { kind: 'value', repeated: true }
export const one = (message: () => Message): Field => ({ kind: 'message', repeated: false, message })
export const many = (message: () => Message): Field => ({ kind: 'message', repeated: true, message })
export const mapOf = (message: () => Message): Field => ({ kind: 'map', message })

/** Something in a body that its message has no place for. */
export interface Violation {
  /** Where, in the message's own snake_case: `contents[0].parts[1]`; '' is the body itself. */
  readonly path: string
  readonly description: string
  /** The same in the words of the parser that reads uploaded files, and the piece of text that made it stop. */
  readonly problem: string
  readonly near: string
}

export interface ReadMessage {
  /** The body with every name in camelCase and every repeated field a list: what its readers may rely on. */
  readonly value: JsonObject
  readonly violations: readonly Violation[]
}

/**
 * Reads a body as Google reads the JSON form of a protocol buffer [spec: protobuf ProtoJSON]: a field may be named in camelCase or
 * snake_case, null is absent, a single value may stand for a list of one, and a name that the message lacks is an error.
 */
export function readMessage(body: JsonObject, message: Message, path = ''): ReadMessage {
  const violations: Violation[] = []
  const value = readFields(body, message, path, violations)
  return { value, violations }
}

/** The words, and the details beside them, in which a live call or a create is refused. */
export function complaint(violations: readonly Violation[]): {
  readonly message: string
  readonly details: readonly Detail[]
} {
  const fieldViolations = violations.map(({ path, description }) => ({
    ...(path === '' ? {} : { field: path }),
    description,
  }))
  return {
    message: violations.map(({ description }) => description).join('\n'),
    details: [{ '@type': 'type.googleapis.com/google.rpc.BadRequest', fieldViolations }],
  }
}

function readFields(body: JsonObject, message: Message, path: string, violations: Violation[]): JsonObject {
  const read: Record<string, Json> = {}
  for (const [name, held] of Object.entries(body)) {
    if (held === null || held === undefined) continue
    const camel = camelCase(name)
    const field = Object.hasOwn(message.fields, camel) ? message.fields[camel] : undefined
    if (field === undefined) {
      const place = path === '' ? '' : ` at '${path}'`
      violations.push({
        path,
        description: `Invalid JSON payload received. Unknown name "${name}"${place}: Cannot find field.`,
        problem: `no such field: '${name}'`,
        near: JSON.stringify(name),
      })
      continue
    }
    read[camel] = readField(held, field, join(path, snakeCase(camel)), violations)
  }
  return read
}

function readField(held: Json, field: Field, path: string, violations: Violation[]): Json {
  switch (field.kind) {
    case 'value':
      return field.repeated ? listOf(held) : held
    case 'message': {
      const { message } = field
      if (!field.repeated) return readOne(held, message(), path, violations)
      return listOf(held).map((item, index) => readOne(item, message(), `${path}[${index}]`, violations))
    }
    case 'map': {
      if (!isObject(held)) return readOne(held, { type: 'Struct', fields: {} }, path, violations)
      return Object.fromEntries(
        Object.entries(held).flatMap(([name, item]) =>
          item === undefined ? [] : [[name, readOne(item, field.message(), `${path}[${name}].value`, violations)]],
        ),
      )
    }
  }
}

function readOne(held: Json, message: Message, path: string, violations: Violation[]): Json {
  if (isObject(held)) return readFields(held, message, path, violations)
  const text = JSON.stringify(held)
  violations.push({
    path,
    description: `Invalid value at '${path}' (type.googleapis.com/google.ai.generativelanguage.v1beta.${message.type}), ${text}`,
    problem: `unexpected character: '${text.slice(0, 1)}'; expected '{'`,
    near: text,
  })
  return {}
}

function listOf(held: Json): readonly Json[] {
  return Array.isArray(held) ? held : [held]
}

function join(path: string, name: string): string {
  return path === '' ? name : `${path}.${name}`
}

function camelCase(name: string): string {
  return name.replaceAll(/_+([a-z0-9])/g, (_, letter: string) => letter.toUpperCase())
}

function snakeCase(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
}
