import { randomHex } from '../openai-like/wire.ts'

export const newFileId = (): string => `file-${randomHex(12)}`
export const newBatchId = (): string => `batch_${randomHex(16)}`
