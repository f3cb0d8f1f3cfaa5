/** What people do with a client: the columns. */
export const COLUMNS = [
  'plain answer',
  'system + tools',
  'JSON schema',
  'embeddings',
  'image',
  'row 400',
  'row 429',
  'user abort',
  'SDK timeout',
  // The client is built before the library is imported, or inside the scope; otherwise between the two.
  'before import',
  'inside',
] as const

export type Column = (typeof COLUMNS)[number]
