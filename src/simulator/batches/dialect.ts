import type { JsonObject } from '../../core/request.ts'
import type { Endpoint } from '../endpoint.ts'
import type { ErrorBody, Outcome } from '../execute.ts'

/** What one provider's batches read and write; everything else about a batch is the same for all of them. */
export interface Dialect {
  /** For reading one input from beginning to end: remembers what lines have to be compared by. */
  reader(): RowReader
  /** Reads a line again that a reader accepted. */
  row(text: string): Row | undefined
  /** A row that was tried, as a line of results. */
  executed(row: Row, outcome: Outcome, place: RowPlace): string
  /** A row that never was, as a line of results. */
  unexecuted(row: Row, reason: Unexecuted, place: RowPlace): string
  /** A result for a `custom_id` that nobody sent. */
  unknownRow(customId: string): string
  /** Where each kind of result goes; undefined: nowhere, such rows are not in the results at all. */
  readonly channels: Readonly<Record<'succeeded' | 'failed' | Unexecuted, Channel | undefined>>
  /** The error envelope of one request. */
  readonly errorBody: ErrorBody
  /** How it words that too many tokens wait already. */
  tokenLimit(model: string, limit: number): InputProblem
}

export type Channel = 'output' | 'errors'

export type Unexecuted = 'expired' | 'cancelled'

export interface RowReader {
  /** `line` counts from 1. */
  read(text: string, line: number): ReadRow
  /** After the last line: what is wrong with the input as a whole. */
  end(): InputProblem | undefined
}

export type ReadRow =
  | { readonly kind: 'row'; readonly row: Row }
  /** The whole batch is refused. */
  | { readonly kind: 'refused'; readonly problem: InputProblem }
  /** This line is complained about, the others run. */
  | { readonly kind: 'skipped'; readonly problem: InputProblem }

export interface Row {
  readonly customId: string
  readonly endpoint: Endpoint
  readonly body: JsonObject
  readonly model: string
}

/** For making ids that are the same each time a row is written. */
export interface RowPlace {
  readonly batchId: string
  /** Position in the input, from 0. */
  readonly index: number
}

/** A complaint about an input. */
export interface InputProblem {
  readonly code: string
  readonly message: string
  readonly param: string | null
  /** From 1; null: no line in particular. */
  readonly line: number | null
}
