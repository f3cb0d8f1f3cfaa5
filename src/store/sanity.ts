import { INTENT_STATE_COUNT, intentOf, type IntentRow, JOB_STATE_COUNT } from './rows.ts'
import type { Value } from './records.ts'
import type { Found } from './salvage.ts'
import type { Row } from './shapes.ts'

/** Whether a row that has the right form also makes sense: one that does not would stop a whole store, or a whole batch. */
export function isSane({ shape, row }: Found): boolean {
  switch (shape.table) {
    case 'secrets':
      return row.name === 'salt' && row.value instanceof Uint8Array && row.value.length === 32
    case 'counters':
      return isPositive(row.next)
    case 'jobs':
      return isPositive(row.id) && isBelow(row.state, JOB_STATE_COUNT) && row.fingerprint !== ''
    case 'places':
      return isPositive(row.job) && isPositive(row.occurrence) && row.fingerprint !== ''
    case 'bodies':
      return isPositive(row.job) && isJson(row.body)
    case 'answers':
      return isPositive(row.job) && isBelow(row.status, 1000) && isJson(row.body)
    case 'targets':
      return isPositive(row.id) && URL.canParse(String(row.base_url)) && row.provider !== ''
    case 'intents':
      return isPositive(row.id) && /^[a-z0-9]{12}$/.test(String(row.tag)) && (!shape.isWhole || isIntent(row))
    case 'runs':
    case 'spending':
      return isJson(row.metadata)
    case 'budgets':
      return isPositive(row.id) && isPositive(row.started_at) && typeof row.reserved === 'number' && row.reserved >= 0
    default:
      return true
  }
}

function isPositive(value: Value | undefined): boolean {
  return typeof value === 'number' && value > 0
}

function isBelow(value: Value | undefined, limit: number): boolean {
  return typeof value === 'number' && value >= 0 && value < limit
}

function isJson(value: Value | undefined): boolean {
  try {
    JSON.parse(String(value))
    return true
  } catch {
    return false
  }
}

function isIntent(row: Row): boolean {
  if (!isBelow(row.state, INTENT_STATE_COUNT)) return false
  try {
    // Its form fits the table, and what is read from another table does not matter here.
    intentOf({
      ...row,
      provider: '',
      base_url: '',
      endpoint: '',
      model: '',
      account: '',
      queue_key: '',
    } as unknown as IntentRow)
    return true
  } catch {
    return false
  }
}
