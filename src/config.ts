import { homedir } from 'node:os'
import { join } from 'node:path'
import { z } from 'zod'
import type { ProviderAdapter } from './core/adapter.ts'
import { OffpeakError } from './core/errors.ts'
import { nearest } from './core/nearest.ts'
import { DEFAULT_POLL_MS } from './core/poll-policy.ts'
import type { Store } from './core/store.ts'

/** Options of `batchify()`. Durations are milliseconds. */
export interface BatchifyOptions {
  /** A queue becomes a batch at this many jobs, never above the provider's limit. Default 1000. */
  batchSize?: number | undefined
  /** A queue becomes a batch this long after its first job. Default 2000. */
  batchWindowMs?: number | undefined
  /** First poll interval; grows by half each time up to `maxPollIntervalMs`. Default 10 000, or the pace a provider asks for. */
  pollIntervalMs?: number | undefined
  /** Default 60 000, or `pollIntervalMs` if that is longer. */
  maxPollIntervalMs?: number | undefined
  /** How long the provider may take, in its own words. Default `'24h'`. */
  completionWindow?: string | undefined
  /** Whether answers of earlier runs are reused, and for how many days they are kept. Default `true`, 30 days. `false` is still durable. */
  cache?: boolean | { retentionDays?: number | undefined } | undefined
  /** A database file, or a store. Default: `store.db` in `OFFPEAK_HOME`, or in this user's state folder. */
  store?: string | Store | undefined
  /** Stamped on every upstream batch and event. */
  metadata?: Readonly<Record<string, string>> | undefined
  /** Further base URLs a provider is reached at, e.g. `{ openai: ['http://127.0.0.1:9911/v1'] }`. */
  baseUrls?: Readonly<Record<string, readonly string[]>> | undefined
  /** Options of one provider alone, by its name: `{ gemini: { … } }`. */
  providers?: Readonly<Record<string, unknown>> | undefined
  /** Which calls are batched: those made in the scope's asynchronous context (default), or every call in the process. */
  scope?: 'context' | 'process' | undefined
  /** What an SDK's own timer may do to a batched call: nothing (default), or what it does to a live one. */
  timeouts?: 'ignore' | 'honor' | undefined
  /** Progress on stderr. Default `'auto'`: live on a terminal, lines otherwise. */
  display?: 'auto' | 'live' | 'log' | 'off' | undefined
  /** Cancel an upstream batch when every caller of it has gone. Default `false`. */
  cancelOnAbort?: boolean | undefined
  /** How long nothing may turn up after an ambiguous create before it is created again. Default 180 000. */
  settleMs?: number | undefined
  /** How long a silent process keeps its unfinished batches before another may take them over. Default 30 000. */
  leaseMs?: number | undefined
  /** Stop when everything is submitted and only polling has been left for `idleMs` (default 60 000). Default `false`. */
  deferred?: boolean | { idleMs?: number | undefined } | undefined
  /** Refuse requests before more is spent; shared with every scope that has a limit and is under way on the same store. */
  maxCostUsd?: number | undefined
  /** With `maxCostUsd`: send what nobody can price as well. Default `false`. */
  allowUnpriced?: boolean | undefined
  /** No more open batches than this for one account. */
  maxBatchesInFlight?: number | undefined
  /** After this long nothing more is sent, and what is under way is cancelled; answers that came are kept. */
  timeLimitMs?: number | undefined
  /** Send nothing: answer with stubs, count what would be asked and what it would cost. Default `false`. */
  dryRun?: boolean | undefined
  /** What to do when a provider does not say whether it created a batch. Default `'wait'` for `settleMs`. */
  onAmbiguous?: 'wait' | 'resubmit' | 'fail' | undefined
}

/** Options with their defaults, and what the environment adds. */
export interface Config {
  readonly batchSize: number
  readonly batchWindowMs: number
  /** undefined: the pace each provider asks for. */
  readonly pollIntervalMs: number | undefined
  readonly maxPollIntervalMs: number
  readonly completionWindow: string
  readonly cache: boolean
  readonly retentionMs: number
  readonly store: string | Store
  readonly metadata: Readonly<Record<string, string>>
  readonly baseUrls: Readonly<Record<string, readonly string[]>>
  /** Every provider, with the options given for it. */
  readonly adapters: readonly ProviderAdapter[]
  readonly scope: 'context' | 'process'
  readonly timeouts: 'ignore' | 'honor'
  readonly display: 'auto' | 'live' | 'log' | 'off'
  readonly cancelOnAbort: boolean
  readonly settleMs: number
  readonly leaseMs: number
  readonly onAmbiguous: 'wait' | 'resubmit' | 'fail'
  readonly deferAfterMs: number | undefined
  readonly maxCostUsd: number | undefined
  readonly allowUnpriced: boolean
  readonly maxBatchesInFlight: number | undefined
  readonly timeLimitMs: number | undefined
  readonly dryRun: boolean
  /** OFFPEAK_DISABLE: everything passes through. */
  readonly disabled: boolean
}

type Environment = Readonly<Record<string, string | undefined>>

const DAY_MS = 24 * 60 * 60_000
const LONGEST_MS = 365 * DAY_MS
const DEFER_AFTER_MS = 60_000
/** What is counted exactly. */
const MOST_USD = 1_000_000

const count = z.number().int().min(1)
const duration = z.number().min(0).max(LONGEST_MS)
const interval = z.number().min(1).max(LONGEST_MS)

const Options = z.strictObject({
  batchSize: count.default(1000),
  batchWindowMs: duration.default(2000),
  pollIntervalMs: interval.optional(),
  maxPollIntervalMs: interval.optional(),
  completionWindow: z.string().default('24h'),
  cache: z
    .union([z.boolean(), z.strictObject({ retentionDays: z.number().min(0).max(36_500).default(30) })])
    .default(true),
  store: z.union([z.string().min(1), z.custom<Store>(isStore, 'expected a path or a Store')]).optional(),
  metadata: z.record(z.string(), z.string()).default({}),
  baseUrls: z.record(z.string(), z.array(z.string())).default({}),
  providers: z.record(z.string(), z.unknown()).default({}),
  scope: z.enum(['context', 'process']).default('context'),
  timeouts: z.enum(['ignore', 'honor']).default('ignore'),
  display: z.enum(['auto', 'live', 'log', 'off']).default('auto'),
  cancelOnAbort: z.boolean().default(false),
  settleMs: duration.default(180_000),
  leaseMs: interval.default(30_000),
  deferred: z.union([z.boolean(), z.strictObject({ idleMs: duration.default(DEFER_AFTER_MS) })]).default(false),
  maxCostUsd: z.number().positive().max(MOST_USD).optional(),
  allowUnpriced: z.boolean().default(false),
  maxBatchesInFlight: count.optional(),
  timeLimitMs: interval.optional(),
  dryRun: z.boolean().default(false),
  onAmbiguous: z.enum(['wait', 'resubmit', 'fail']).default('wait'),
})

/**
 * Options and environment, once, strictly: a typo is an error that names the nearest option.
 * Throws `OffpeakError` `invalid-options`.
 */
export function parseConfig(
  options: BatchifyOptions,
  env: Environment,
  adapters: readonly ProviderAdapter[],
  platform: NodeJS.Platform = process.platform,
): Config {
  const parsed = Options.safeParse(options)
  if (!parsed.success) throw invalid(parsed.error.issues.map(describe).join('; '))
  const { cache, store, pollIntervalMs, maxPollIntervalMs, baseUrls, providers, deferred, ...rest } = parsed.data
  const { maxCostUsd, maxBatchesInFlight, timeLimitMs } = rest
  checkMetadata(rest.metadata, adapters)
  checkWindow(rest.completionWindow, adapters)
  const firstPollMs = pollIntervalMs ?? DEFAULT_POLL_MS
  if (maxPollIntervalMs !== undefined && maxPollIntervalMs < firstPollMs) {
    throw invalid(`maxPollIntervalMs (${maxPollIntervalMs}) is below pollIntervalMs (${firstPollMs})`)
  }
  return Object.freeze({
    ...rest,
    maxCostUsd,
    maxBatchesInFlight,
    timeLimitMs,
    pollIntervalMs,
    maxPollIntervalMs: maxPollIntervalMs ?? Math.max(60_000, firstPollMs),
    adapters: configured(adapters, providers),
    cache: cache !== false,
    deferAfterMs: typeof deferred === 'object' ? deferred.idleMs : deferred ? DEFER_AFTER_MS : undefined,
    retentionMs: (typeof cache === 'object' ? cache.retentionDays : 30) * DAY_MS,
    store: store ?? defaultStorePath(env, platform),
    baseUrls: allBaseUrls(baseUrls, env, adapters),
    disabled: isOn(env.OFFPEAK_DISABLE),
  })
}

function isStore(value: unknown): value is Store {
  return typeof value === 'object' && value !== null && 'enqueue' in value && 'claim' in value && 'settle' in value
}

function isOn(value: string | undefined): boolean {
  return value !== undefined && value !== '' && value !== '0' && value.toLowerCase() !== 'false'
}

function invalid(message: string): OffpeakError {
  return new OffpeakError('invalid-options', `offpeak: ${message}`)
}

function describe(issue: z.core.$ZodIssue): string {
  const path = issue.path.map(String).join('.')
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => unknownOption(path === '' ? key : `${path}.${key}`)).join('; ')
  }
  return path === '' ? `options: ${issue.message}` : `option "${path}": ${issue.message}`
}

function unknownOption(name: string): string {
  const names = [...Object.keys(Options.shape), 'cache.retentionDays', 'deferred.idleMs']
  const close = nearest(name, names)
  return `unknown option "${name}"; ${close === undefined ? `known are ${names.join(', ')}` : `did you mean "${close}"?`}`
}

/** Our tag takes one pair on every provider. */
function checkMetadata(metadata: Readonly<Record<string, string>>, adapters: readonly ProviderAdapter[]): void {
  const pairs = Object.entries(metadata)
  for (const { name, limits } of adapters) {
    const { pairs: most, keyLength, valueLength } = limits.metadata
    if (pairs.length > most - 1)
      throw invalid(`option "metadata": ${name} takes ${most - 1} pairs beside offpeak's own, not ${pairs.length}`)
    for (const [key, value] of pairs) {
      if (key.length > keyLength)
        throw invalid(`option "metadata": the key "${key}" is longer than the ${keyLength} characters ${name} takes`)
      if (value.length > valueLength)
        throw invalid(
          `option "metadata": the value of "${key}" is longer than the ${valueLength} characters ${name} takes`,
        )
    }
  }
}

function checkWindow(window: string, adapters: readonly ProviderAdapter[]): void {
  const offered = new Set(adapters.flatMap(({ limits }) => limits.windows))
  if (!offered.has(window)) {
    throw invalid(`option "completionWindow": no provider offers "${window}"; offered: ${[...offered].join(', ')}`)
  }
}

/** Each adapter with the options given for it; an option that a provider does not have is an error that names both. */
function configured(
  adapters: readonly ProviderAdapter[],
  given: Readonly<Record<string, unknown>>,
): readonly ProviderAdapter[] {
  for (const provider of Object.keys(given)) checkProvider(provider, adapters, 'option "providers"')
  return adapters.map((adapter) => {
    const settings = given[adapter.name]
    if (settings === undefined) return adapter
    const option = `option "providers.${adapter.name}"`
    if (!adapter.configure) throw invalid(`${option}: ${adapter.name} has no options of its own`)
    try {
      return adapter.configure(settings)
    } catch (error) {
      if (!(error instanceof z.ZodError)) throw error
      throw invalid(error.issues.map(({ path, message }) => `${[option, ...path].join('.')}: ${message}`).join('; '))
    }
  })
}

function checkProvider(provider: string, adapters: readonly ProviderAdapter[], where: string): void {
  const names = adapters.map(({ name }) => name)
  if (names.includes(provider)) return
  const close = nearest(provider, names)
  throw invalid(
    `${where}: unknown provider "${provider}"; ${close ? `did you mean "${close}"?` : `known are ${names.join(', ')}`}`,
  )
}

function allBaseUrls(
  given: Readonly<Record<string, readonly string[]>>,
  env: Environment,
  adapters: readonly ProviderAdapter[],
): Config['baseUrls'] {
  const all: Record<string, string[]> = {}
  const add = (provider: string, url: string, where: string): void => {
    checkProvider(provider, adapters, where)
    if (!isHttp(url)) throw invalid(`${where}: "${url}" is not an http or https URL`)
    ;(all[provider] ??= []).push(url)
  }
  for (const [provider, urls] of Object.entries(given)) for (const url of urls) add(provider, url, 'option "baseUrls"')
  for (const pair of (env.OFFPEAK_BASE_URLS ?? '').split(',')) {
    if (pair.trim() === '') continue
    const cut = pair.indexOf('=')
    if (cut === -1) throw invalid(`OFFPEAK_BASE_URLS: "${pair.trim()}" is not provider=url`)
    add(pair.slice(0, cut).trim(), pair.slice(cut + 1).trim(), 'OFFPEAK_BASE_URLS')
  }
  for (const { name, baseUrlEnv } of adapters) {
    const url = baseUrlEnv === undefined ? undefined : env[baseUrlEnv]?.trim()
    // The SDK's own variable: whatever it holds is the SDK's to complain about.
    if (url && isHttp(url)) add(name, url, `${baseUrlEnv}`)
  }
  return all
}

function isHttp(url: string): boolean {
  return /^https?:$/.test(URL.parse(url)?.protocol ?? '')
}

/** Where the store is when nobody says where. */
export function defaultStorePath(env: Environment, platform: NodeJS.Platform = process.platform): string {
  return join(stateFolder(env, platform), 'store.db')
}

/** Where programs of this user keep what should outlive them. */
function stateFolder(env: Environment, platform: NodeJS.Platform): string {
  if (env.OFFPEAK_HOME) return env.OFFPEAK_HOME
  if (platform === 'win32') return join(env.LOCALAPPDATA ?? join(homedir(), 'AppData', 'Local'), 'offpeak')
  if (platform === 'darwin') return join(homedir(), 'Library', 'Application Support', 'offpeak')
  return join(env.XDG_STATE_HOME || join(homedir(), '.local', 'state'), 'offpeak')
}
