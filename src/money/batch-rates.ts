/** What a batch costs, against the list price of the same calls one by one. */
export type BatchRate =
  /** Every kind of token costs this share of its list price, but for what `cached` says. */
  | { readonly kind: 'share'; readonly share: number; readonly cached?: CachedInput }
  /** Prices of its own, in USD. What is left out costs what is said of `input` or `output`. */
  | {
      readonly kind: 'prices'
      readonly perMillion: {
        readonly input: number
        readonly cachedInput?: number
        readonly cacheWrite?: number
        readonly output: number
        readonly reasoning?: number
      }
      readonly perRequest?: number
    }
  /** Costs nothing, live or in a batch, whatever its usage says. */
  | { readonly kind: 'free' }
  /** Nobody can say from what an answer tells us; of `live`, not even what the list price comes to. */
  | { readonly kind: 'unknown'; readonly of: 'batch' | 'live'; readonly because: string }

/**
 * What tokens from the prompt cache cost in a batch: the same share of their own list price (`stacks`, the default), their list price as it
 * is (`as-listed`), or what other input costs there (`as-input`).
 */
export type CachedInput = 'stacks' | 'as-listed' | 'as-input'

/**
 * `stated`: by the provider's own documentation. `reported`: by others who have read or measured it. `disputed`: sources disagree or are
 * silent, and the row takes the dearest of what they leave open: a saving that is shown is one that was made at the least.
 */
export type Certainty = 'stated' | 'reported' | 'disputed'

export interface BatchRateRow {
  /** The adapter's name. */
  readonly provider: string
  /** Its id in the price list. */
  readonly priceList: string
  /** Absent: every endpoint. */
  readonly endpoint?: RegExp
  /** Absent: every model. */
  readonly model?: RegExp
  /** ISO date. Of several rows that apply, the one valid from the latest day wins; of those, the first. */
  readonly validFrom: string
  readonly rate: BatchRate
  readonly source: string
  readonly certainty: Certainty
  /** What the source leaves open. */
  readonly note?: string
  /** ISO date of the research the row rests on. */
  readonly checked: string
}

const OPENAI = { provider: 'openai', priceList: 'openai', validFrom: '2024-04-15', checked: '2026-11-20' } as const
const TOGETHER = { provider: 'together', priceList: 'together', checked: '2026-11-20' } as const

export const BATCH_RATES: readonly BatchRateRow[] = [
  {
    ...OPENAI,
    endpoint: /\/moderations$/,
    rate: { kind: 'free' },
    source: 'https://platform.openai.com/docs/guides/moderation',
    certainty: 'stated',
  },
  {
    ...OPENAI,
    endpoint: /\/images\/edits$/,
    rate: {
      kind: 'unknown',
      of: 'live',
      because: 'image tokens of the input cost more than text, and the usage we read does not tell them apart',
    },
    source: 'https://platform.openai.com/docs/pricing',
    certainty: 'stated',
  },
  {
    ...OPENAI,
    rate: { kind: 'share', share: 0.5 },
    source: 'https://platform.openai.com/docs/guides/batch',
    certainty: 'stated',
  },
  {
    provider: 'anthropic',
    priceList: 'anthropic',
    validFrom: '2024-10-08',
    rate: { kind: 'share', share: 0.5, cached: 'stacks' },
    source: 'https://platform.claude.com/docs/en/build-with-claude/batch-processing',
    certainty: 'stated',
    note: 'Halves cache writes and reads as well. Server tools (web search) have a price per use that no usage tells here.',
    checked: '2026-11-20',
  },
  {
    provider: 'gemini',
    priceList: 'google',
    validFrom: '2025-07-07',
    rate: { kind: 'share', share: 0.5, cached: 'as-listed' },
    source: 'https://ai.google.dev/gemini-api/docs/batch-api',
    certainty: 'stated',
    note: 'Storage of explicit caches is billed by the hour and in no usage.',
    checked: '2026-11-20',
  },
  {
    provider: 'groq',
    priceList: 'groq',
    // Until then it was 25 %.
    validFrom: '2025-05-01',
    rate: { kind: 'share', share: 0.5, cached: 'as-input' },
    source: 'https://console.groq.com/docs/batch',
    certainty: 'stated',
    note: 'Its discount does not stack with that of prompt caching.',
    checked: '2026-11-20',
  },
  {
    provider: 'mistral',
    priceList: 'mistral',
    validFrom: '2024-11-07',
    rate: { kind: 'share', share: 0.5, cached: 'as-input' },
    source: 'https://docs.mistral.ai/capabilities/batch',
    certainty: 'disputed',
    note: 'The half is stated; whether cached input is cheaper still in a batch is not.',
    checked: '2026-11-20',
  },
  {
    ...TOGETHER,
    model:
      /^(meta-llama\/Llama-3\.3-70B-Instruct-Turbo|meta-llama\/Llama-3-70b-chat-hf|Qwen\/Qwen2\.5-7B-Instruct-Turbo|mistralai\/Mixtral-8x7B-Instruct-v0\.1|zai-org\/GLM-4\.5-Air-FP8|openai\/whisper-large-v3)$/,
    validFrom: '2025-06-11',
    rate: { kind: 'share', share: 0.5, cached: 'as-input' },
    source: 'https://docs.together.ai/docs/inference/batch/overview#discounted-models',
    certainty: 'stated',
    note: 'Whether cached input is cheaper still in a batch is not stated.',
  },
  {
    ...TOGETHER,
    validFrom: '2025-06-11',
    rate: { kind: 'share', share: 1 },
    source: 'https://docs.together.ai/docs/inference/batch/overview#discounted-models',
    certainty: 'stated',
    note: 'Models that are not listed run at standard rates. The list changes.',
  },
  {
    provider: 'doubleword',
    priceList: 'doubleword',
    validFrom: '2025-10-01',
    rate: {
      kind: 'unknown',
      of: 'batch',
      because: 'its batch prices depend on model and window, and no price list we can read has them',
    },
    source: 'https://docs.doubleword.ai/inference-api',
    certainty: 'stated',
    note: 'The list has its realtime prices.',
    checked: '2026-11-20',
  },
  {
    provider: 'xai',
    priceList: 'x-ai',
    endpoint: /\/(images|videos)\//,
    validFrom: '2026-03-01',
    rate: { kind: 'unknown', of: 'live', because: 'it is billed by the picture or the second, which no usage tells' },
    source: 'https://docs.x.ai/developers/pricing',
    certainty: 'stated',
    checked: '2026-11-20',
  },
  {
    provider: 'xai',
    priceList: 'x-ai',
    validFrom: '2026-01-01',
    rate: { kind: 'share', share: 0.8, cached: 'stacks' },
    source: 'https://docs.x.ai/developers/pricing#batch-api-pricing',
    certainty: 'disputed',
    note: '50 % of everything at first, cached and reasoning tokens included; 20 % to 50 % by model since some time before June 2026.',
    checked: '2026-11-20',
  },
]

/** The row that applies on a day. */
export function batchRate(
  { provider, endpoint, model }: { readonly provider: string; readonly endpoint: string; readonly model: string },
  at: number,
  rows: readonly BatchRateRow[] = BATCH_RATES,
): BatchRateRow | undefined {
  let best: BatchRateRow | undefined
  for (const row of rows) {
    const applies =
      row.provider === provider &&
      (row.endpoint?.test(endpoint) ?? true) &&
      (row.model?.test(model) ?? true) &&
      Date.parse(row.validFrom) <= at
    if (applies && (best === undefined || row.validFrom > best.validFrom)) best = row
  }
  return best
}
