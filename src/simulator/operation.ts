/** What a call is for, whatever its provider calls it. */
export const OPERATIONS = [
  'live',
  'upload',
  'create',
  'poll',
  'list',
  'cancel',
  'results',
  'file',
  'file-list',
  'delete',
  'models',
  'other',
] as const

export type Operation = (typeof OPERATIONS)[number]
