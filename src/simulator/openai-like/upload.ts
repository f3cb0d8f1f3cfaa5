import { open, type FileHandle } from 'node:fs/promises'
import type { StoredFile } from '../file-store.ts'
import { boundaryOf, MultipartError, readMultipart, type PartSink } from '../multipart.ts'
import type { Exchange, World } from '../provider.ts'

/** A form with a file in it, as it arrived. */
export interface Upload {
  readonly fields: ReadonlyMap<string, string>
  readonly fileName: string | undefined
  /** Names of the parts, in the order they came. */
  readonly order: readonly string[]
  /** Where the file's content lies. */
  readonly path: string
}

/** What a provider makes of an upload. */
export interface UploadRules {
  newId(): string
  readonly maxBytes: number
  /** Ends the upload: what came is no form of this kind. */
  refuseForm(message: string): never
  /** Ends the upload: the file is longer than this. */
  refuseSize(limit: number): never
  /** What is kept of it; throws a refusal. */
  accept(upload: Upload, now: number): Promise<UploadFacts> | UploadFacts
}

export interface UploadFacts {
  readonly name: string
  readonly purpose: string
  readonly expiresAt: number | undefined
}

const MAX_FIELD_BYTES = 64 * 1024

/** Takes a file in, writing the part named `file` to disk as it arrives; what is refused leaves nothing behind. */
export async function receiveUpload(
  world: World,
  { account, headers, body }: Exchange,
  rules: UploadRules,
): Promise<StoredFile> {
  const boundary = boundaryOf(headers['content-type'])
  if (boundary === undefined) return rules.refuseForm('Content-Type must be multipart/form-data.')
  const id = rules.newId()
  const path = world.files.pathFor(id)
  try {
    const upload = await receive(body, boundary, path, world.limits.fileBytes ?? rules.maxBytes, rules)
    const now = world.clock.now()
    return world.files.add({ ...(await rules.accept(upload, now)), id, owner: account.hash, createdAt: now })
  } catch (error) {
    await world.files.discard(path)
    if (error instanceof MultipartError) return rules.refuseForm(`Invalid multipart body: ${error.message}.`)
    throw error
  }
}

/** The fields of a form whose files do not matter: of each only its name is kept. */
export async function readFields(input: AsyncIterable<Buffer>, boundary: string): Promise<ReadonlyMap<string, string>> {
  const fields = new Map<string, string>()
  await readMultipart(input, boundary, ({ name, fileName }) => {
    if (fileName === undefined) return fieldSink(fields, name)
    fields.set(name, fileName)
    return { write: () => {} }
  })
  return fields
}

async function receive(
  input: AsyncIterable<Buffer>,
  boundary: string,
  path: string,
  limit: number,
  rules: UploadRules,
): Promise<Upload> {
  const fields = new Map<string, string>()
  const order: string[] = []
  let fileName: string | undefined
  let bytes = 0
  const handle = await open(path, 'w', 0o600)
  try {
    await readMultipart(input, boundary, (head) => {
      order.push(head.name)
      if (head.name !== 'file' || head.fileName === undefined) return fieldSink(fields, head.name)
      fileName = head.fileName
      return fileSink(handle, (added) => {
        bytes += added
        if (bytes > limit) rules.refuseSize(limit)
      })
    })
  } finally {
    await handle.close()
  }
  return { fields, fileName, order, path }
}

function fieldSink(fields: Map<string, string>, name: string): PartSink {
  fields.set(name, '')
  return {
    write(piece) {
      const value = (fields.get(name) ?? '') + piece.toString('utf8')
      if (value.length > MAX_FIELD_BYTES) throw new MultipartError(`the field ${name} is too long`)
      fields.set(name, value)
    },
  }
}

function fileSink(handle: FileHandle, counted: (bytes: number) => void): PartSink {
  return {
    async write(piece) {
      counted(piece.length)
      await handle.write(piece)
    },
  }
}
