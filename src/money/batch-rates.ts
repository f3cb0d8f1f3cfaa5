/** What a batch costs, against the list price of the same calls one by one. */
export type BatchRate =
  /** Every kind of token costs this share of its list price. */
  | { readonly kind: 'share'; readonly share: number }
  /** Costs nothing, live or in a batch, whatever its usage says. */
  | { readonly kind: 'free' }
  /** Nobody can say from what an answer tells us. */
  | { readonly kind: 'unknown'; readonly because: string }

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
  /** ISO date of the research the row rests on. */
  readonly checked: string
}

export const BATCH_RATES: readonly BatchRateRow[] = [
  {
    provider: 'openai',
    priceList: 'openai',
    endpoint: /\/moderations$/,
    validFrom: '2024-04-15',
    rate: { kind: 'free' },
    source: 'https://platform.openai.com/docs/guides/moderation',
    checked: '2026-11-20',
  },
  {
    provider: 'openai',
    priceList: 'openai',
    endpoint: /\/images\/edits$/,
    validFrom: '2024-04-15',
    rate: {
      kind: 'unknown',
      because: 'image tokens of the input cost more than text, and the usage we read does not tell them apart',
    },
    source: 'https://platform.openai.com/docs/pricing',
    checked: '2026-11-20',
  },
  {
    provider: 'openai',
    priceList: 'openai',
    validFrom: '2024-04-15',
    rate: { kind: 'share', share: 0.5 },
    source: 'https://platform.openai.com/docs/guides/batch',
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
