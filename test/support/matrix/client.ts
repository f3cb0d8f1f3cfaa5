import { z } from 'zod'
import type { SimulatedProvider } from '../../../src/simulator/index.ts'
import type { Connection } from '../clients.ts'
import type { Column } from './columns.ts'
import type { Exceptions } from './outcome.ts'

/** What a client makes of an answer: the part that was asked for, and all of it. */
export interface Answer<T> {
  readonly gist: T
  readonly whole: unknown
}

export type Ask<T> = (prompt: string, options?: { readonly signal?: AbortSignal | undefined }) => Promise<Answer<T>>

/** A call of a tool, as the model asked for it. */
export interface ToolCall {
  readonly name: string
  readonly input: unknown
}

/** The calls of one built client. Those it has no such thing for are absent. */
export interface Calls {
  /** The text of an answer. */
  readonly plain: Ask<string>
  /** The tool a model calls that has been given instructions, a tool and no choice. */
  readonly tools?: Ask<ToolCall>
  /** An object of the shape of `Word`, as the client parsed it. */
  readonly schema?: Ask<unknown>
  /** The vector of a text. */
  readonly embeddings?: Ask<readonly number[]>
  /** The text of an answer to a question about `PIXEL`. */
  readonly image?: Ask<string>
}

/** One row: a client in front of one provider. */
export interface Client {
  readonly name: string
  readonly provider: SimulatedProvider
  /** What this client's base URL has after the one the provider's official SDK takes: `/v1`. */
  readonly path?: string
  /** Builds the client as programs build it: whatever it captures, it captures now. */
  readonly connect: (connection: Connection) => Calls
  /** Whether its calls take a signal, and a limit on their time. Default: both. */
  readonly takes?: { readonly signal: boolean; readonly limit: boolean }
  /** Its aborts are looked at once garbage has been collected, because nobody holds what passes them on. */
  readonly losesAborts?: true
  /** Calls whose body is worded otherwise in a batch, to the same effect: simulated answers, which quote a digest of it, then differ in that. */
  readonly reworded?: readonly Column[]
  /** What of an error is the same: `class and status`, where the provider tells no more of a failed row. Default: all of it. */
  readonly rowErrors?: 'whole' | 'class and status'
  /** The cells that are not simply `yes`. */
  readonly but?: Exceptions
}

export const INSTRUCTIONS = 'You are brief.'

export const WEATHER = 'weather'
export const WEATHER_DESCRIPTION = 'The weather at a place'
export const Place: z.ZodObject<{ place: z.ZodString }> = z.object({ place: z.string() })
/** The same as JSON schema, for clients that take it so. */
export const PLACE_SCHEMA = {
  type: 'object',
  properties: { place: { type: 'string' } },
  required: ['place'],
  additionalProperties: false,
} as const

export const Word: z.ZodObject<{ word: z.ZodString }> = z.object({ word: z.string() })
export const WORD_SCHEMA = {
  type: 'object',
  properties: { word: { type: 'string' } },
  required: ['word'],
  additionalProperties: false,
} as const

/** A transparent pixel, in base64. */
export const PIXEL = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNkYAAAAAYAAjCB0C8AAAAASUVORK5CYII='
export const PIXEL_URL: string = `data:image/png;base64,${PIXEL}`
