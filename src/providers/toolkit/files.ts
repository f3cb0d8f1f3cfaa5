import { z } from 'zod'
import type { BatchInput, Call } from '../../core/adapter.ts'
import type { BatchHandle, JobResult } from '../../core/batch.ts'
import type { JsonObject } from '../../core/request.ts'
import { readLines } from './read-lines.ts'
import { discard, readReply } from './replies.ts'

const UploadReply = z.object({ id: z.string().min(1) })

/** Uploads the input as a form: the fields, then the file. Resolves with `{ fileId }`. */
export async function uploadFile(
  path: string,
  fields: Readonly<Record<string, string>>,
  input: Pick<BatchInput, 'blob' | 'fileName'>,
  call: Call,
): Promise<JsonObject> {
  const form = new FormData()
  for (const [name, value] of Object.entries(fields)) form.set(name, value)
  form.set('file', input.blob, input.fileName)
  const { id } = await readReply(await call.send({ method: 'POST', path, body: form, isTransfer: true }), UploadReply)
  return { fileId: id }
}

/** Both files are read in every terminal state: an error row may stand in either. */
export async function* readFiles(
  { outputFileId, errorFileId }: BatchHandle,
  call: Call,
  toResult: (line: string) => JobResult,
): AsyncGenerator<readonly JobResult[]> {
  for (const fileId of [outputFileId, errorFileId]) {
    if (typeof fileId !== 'string' || fileId === '') continue
    const path = `/files/${encodeURIComponent(fileId)}/content`
    const response = await call.send({ method: 'GET', path, isTransfer: true })
    for await (const lines of readLines(response)) yield lines.map(toResult)
  }
}

/** Deletes the input, which nobody needs once its batch has ended. */
export async function deleteInput({ inputFileId }: BatchHandle, call: Call): Promise<void> {
  if (typeof inputFileId !== 'string') return
  await discard(await call.send({ method: 'DELETE', path: `/files/${encodeURIComponent(inputFileId)}` }))
}
