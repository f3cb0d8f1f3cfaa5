import { randomBytes } from 'node:crypto'

export const newFileId = (): string => `file-${randomBytes(12).toString('hex')}`
export const newBatchId = (): string => `batch_${randomBytes(16).toString('hex')}`

/** Times on the wire are whole seconds. */
export const seconds = (ms: number): number => Math.floor(ms / 1000)
