import { digestHex, type Digest } from './digest.ts'
import { OPERATIONS, type Operation } from './operation.ts'

/** What was asked of the simulator and what it executed. Plain data. */
export interface Ledger {
  /** Calls received, those answered with a fault included. */
  readonly calls: Readonly<Record<Operation, number>>
  /** Requests that were answered, whoever got the answer. */
  readonly executions: {
    readonly live: number
    readonly batch: number
    /** Different requests (account, endpoint and body) among them. */
    readonly distinct: number
    /** Executions beyond the first of each: what was paid for more than once, unless it was asked for more than once. */
    readonly repeated: number
  }
  /** Requests that were tried and answered with an error: nobody pays for these. */
  readonly errors: { readonly live: number; readonly batch: number }
  readonly batches: Readonly<Record<'created' | 'completed' | 'failed' | 'expired' | 'cancelled', number>>
  readonly accounts: readonly AccountEntry[]
  /** The first 10,000 different requests, in order of their first execution. */
  readonly requests: readonly RequestEntry[]
}

export interface AccountEntry {
  readonly provider: string
  /** A short hash of the headers that decide whom the provider bills. */
  readonly account: string
  readonly live: number
  readonly batch: number
  readonly calls: Readonly<Partial<Record<Operation, number>>>
}

export interface RequestEntry {
  readonly account: string
  readonly endpoint: string
  readonly model: string
  /** As answers quote it. */
  readonly digest: string
  /** The beginning of its prompt. */
  readonly prompt: string
  readonly live: number
  readonly batch: number
}

/** One execution, as the provider saw it. */
export interface Execution {
  readonly way: 'live' | 'batch'
  readonly account: LedgerAccount
  readonly endpoint: string
  readonly digest: Digest
  /** Asked for only when this request is new to the ledger. */
  readonly describe: () => { readonly model: string; readonly prompt: string }
}

export interface LedgerAccount {
  readonly provider: string
  readonly hash: string
}

export interface LedgerBook {
  called(operation: Operation, account: LedgerAccount | undefined): void
  executed(execution: Execution): void
  failed(way: 'live' | 'batch'): void
  batchMoved(to: keyof Ledger['batches']): void
  /** Whether it still asks for descriptions. */
  describes(): boolean
  read(): Ledger
}

const DESCRIBED = 10_000
export const PROMPT_LENGTH: number = 100

export function createLedgerBook(): LedgerBook {
  const calls = Object.fromEntries(OPERATIONS.map((operation) => [operation, 0])) as Record<Operation, number> // fromEntries forgets the keys
  const batches = { created: 0, completed: 0, failed: 0, expired: 0, cancelled: 0 }
  const accounts = new Map<string, Counted>()
  const described: { slot: DigestKey; entry: Omit<RequestEntry, 'live' | 'batch'> }[] = []
  const counts = createCountTable()
  const executions = { live: 0, batch: 0 }
  const errors = { live: 0, batch: 0 }

  function accountOf(account: LedgerAccount): Counted {
    const key = `${account.provider}:${account.hash}`
    let counted = accounts.get(key)
    if (!counted) {
      counted = {
        provider: account.provider,
        account: account.hash,
        seed: accounts.size + 1,
        live: 0,
        batch: 0,
        calls: {},
      }
      accounts.set(key, counted)
    }
    return counted
  }

  return {
    called(operation, account) {
      calls[operation]++
      if (!account) return
      const counted = accountOf(account)
      counted.calls[operation] = (counted.calls[operation] ?? 0) + 1
    },
    executed({ way, account, endpoint, digest, describe }) {
      const counted = accountOf(account)
      counted[way]++
      executions[way]++
      // The account is part of the key: the same prompt under two keys is two requests.
      const slot = { high: (digest.high ^ Math.imul(counted.seed, 0x9e3779b1)) >>> 0, low: digest.low }
      const first = counts.add(slot, way)
      if (!first || described.length >= DESCRIBED) return
      const { model, prompt } = describe()
      const entry = {
        account: account.hash,
        endpoint,
        model,
        digest: digestHex(digest),
        prompt: prompt.slice(0, PROMPT_LENGTH),
      }
      described.push({ slot, entry })
    },
    failed(way) {
      errors[way]++
    },
    batchMoved(to) {
      batches[to]++
    },
    describes: () => described.length < DESCRIBED,
    read() {
      const distinct = counts.size()
      return {
        calls: { ...calls },
        executions: { ...executions, distinct, repeated: executions.live + executions.batch - distinct },
        errors: { ...errors },
        batches: { ...batches },
        accounts: [...accounts.values()].map(({ provider, account, live, batch, calls }) => {
          return { provider, account, live, batch, calls: Object.assign({}, calls) }
        }),
        requests: described.map(({ slot, entry }) => Object.assign(counts.get(slot), entry)),
      }
    },
  }
}

type DigestKey = Digest

interface Counted {
  readonly provider: string
  readonly account: string
  readonly seed: number
  live: number
  batch: number
  readonly calls: Partial<Record<Operation, number>>
}

interface CountTable {
  /** Whether this was the first time. */
  add(key: DigestKey, way: 'live' | 'batch'): boolean
  get(key: DigestKey): { live: number; batch: number }
  size(): number
}

/** Counts by digest in flat memory (12 bytes a slot), because a bench executes millions of different rows. */
function createCountTable(): CountTable {
  let capacity = 1024
  let used = 0
  let highs = new Uint32Array(capacity)
  let lows = new Uint32Array(capacity)
  let live = new Uint16Array(capacity)
  let batch = new Uint16Array(capacity)

  /** The slot of a key, or the free slot where it would go. A slot is free while both its counts are zero. */
  function find({ high, low }: DigestKey): number {
    let slot = (low ^ high) & (capacity - 1)
    while ((live[slot] || batch[slot]) && (highs[slot] !== high || lows[slot] !== low))
      slot = (slot + 1) & (capacity - 1)
    return slot
  }

  function grow(): void {
    const old = { capacity, highs, lows, live, batch }
    capacity *= 2
    highs = new Uint32Array(capacity)
    lows = new Uint32Array(capacity)
    live = new Uint16Array(capacity)
    batch = new Uint16Array(capacity)
    for (let slot = 0; slot < old.capacity; slot++) {
      const counted = { live: old.live[slot] ?? 0, batch: old.batch[slot] ?? 0 }
      if (counted.live + counted.batch === 0) continue
      const high = old.highs[slot] ?? 0
      const low = old.lows[slot] ?? 0
      const target = find({ high, low })
      highs[target] = high
      lows[target] = low
      live[target] = counted.live
      batch[target] = counted.batch
    }
  }

  return {
    add(key, way) {
      if (used * 3 > capacity * 2) grow()
      const slot = find(key)
      const first = !live[slot] && !batch[slot]
      if (first) {
        used++
        highs[slot] = key.high
        lows[slot] = key.low
      }
      const counts = way === 'live' ? live : batch
      counts[slot] = Math.min(0xffff, (counts[slot] ?? 0) + 1)
      return first
    },
    get(key) {
      const slot = find(key)
      return { live: live[slot] ?? 0, batch: batch[slot] ?? 0 }
    },
    size: () => used,
  }
}
