import type { JsonObject } from '../../core/request.ts'
import type { BatchView } from '../batches/batch.ts'
import { isObject } from '../json.ts'
import type { Phase } from '../timeline.ts'
import type { Refuse } from './live.ts'
import { seconds } from './wire.ts'

const METADATA = { pairs: 16, keyLength: 64, valueLength: 512 }

/** When a batch entered each of its statuses, as OpenAI and its relatives tell it. */
export function wireTimes(view: BatchView): Record<string, unknown> {
  const at = (phase: Phase): number | null => {
    const time = view.entered[phase]
    return time === undefined ? null : seconds(time)
  }
  return {
    created_at: seconds(view.createdAt),
    in_progress_at: at('in_progress'),
    expires_at: Number.isFinite(view.deadline) ? seconds(view.deadline) : null,
    finalizing_at: at('finalizing'),
    completed_at: at('completed'),
    failed_at: at('failed'),
    expired_at: at('expired'),
    cancelling_at: at('cancelling'),
    cancelled_at: at('cancelled'),
  }
}

/** A parameter of a create that must be there. */
export function requiredText(body: JsonObject, name: string, refuse: Refuse): string {
  const value = body[name]
  if (typeof value === 'string' && value !== '') return value
  return refuse(`Missing required parameter: '${name}'.`, name, 'missing_required_parameter')
}

/** The pairs a create carries, within OpenAI's limits. */
export function readMetadata(metadata: unknown, refuse: Refuse): Readonly<Record<string, string>> | null {
  if (metadata === undefined || metadata === null) return null
  if (!isObject(metadata)) return refuse("Invalid type for 'metadata': expected an object.", 'metadata', 'invalid_type')
  const pairs = Object.entries(metadata)
  if (pairs.length > METADATA.pairs) {
    return refuse(
      `Invalid 'metadata': too many properties, at most ${METADATA.pairs}.`,
      'metadata',
      'object_above_max_properties',
    )
  }
  return Object.fromEntries(
    pairs.map(([key, value]) => {
      if (key.length > METADATA.keyLength) {
        return refuse(`Invalid 'metadata': a key is longer than ${METADATA.keyLength} characters.`, 'metadata')
      }
      if (typeof value !== 'string') {
        return refuse(`Invalid type for 'metadata.${key}': expected a string.`, `metadata.${key}`, 'invalid_type')
      }
      if (value.length > METADATA.valueLength) {
        return refuse(
          `Invalid 'metadata.${key}': longer than ${METADATA.valueLength} characters.`,
          `metadata.${key}`,
          'string_above_max_length',
        )
      }
      return [key, value]
    }),
  )
}
