import { z } from 'zod'
import type { BatchInput, Call } from '../../core/adapter.ts'
import { NetworkError, ProviderError } from '../../core/errors.ts'
import { discard, readReply } from '../toolkit/replies.ts'

const UploadReply = z.object({ file: z.object({ name: z.string().min(1) }) })

const JSON_LINES = 'application/jsonl'

/**
 * A resumable upload in two calls; resolves with the file's name [ai.google.dev/gemini-api/docs/files; the uploader of @google/genai 3.1].
 * Google deletes it after 48 hours, if nobody does before.
 */
export async function uploadInput(displayName: string, { blob }: BatchInput, call: Call): Promise<string> {
  const started = await call.send({
    method: 'POST',
    path: besideBase(call, 'upload', '/files'),
    headers: {
      'content-type': 'application/json',
      'x-goog-upload-protocol': 'resumable',
      'x-goog-upload-command': 'start',
      'x-goog-upload-header-content-length': String(blob.size),
      'x-goog-upload-header-content-type': JSON_LINES,
    },
    body: JSON.stringify({ file: { displayName } }),
  })
  await discard(started)
  const address = started.headers.get('x-goog-upload-url')
  if (!address) throw new NetworkError('the reply to the start of an upload does not say where to send it')
  const sent = await call.send({
    method: 'POST',
    path: throughBase(call, address),
    headers: {
      'content-type': JSON_LINES,
      'x-goog-upload-offset': '0',
      'x-goog-upload-command': 'upload, finalize',
    },
    body: blob,
    isTransfer: true,
  })
  const { file } = await readReply(sent, UploadReply)
  return file.name
}

/** The documented download first, then the one the official SDK makes, which every gateway for that SDK has. */
export async function downloadResults(file: string, call: Call): Promise<Response> {
  const path = `${resourcePath(file)}:download`
  const download = { method: 'GET', query: { alt: 'media' }, isTransfer: true } as const
  try {
    return await call.send({ ...download, path: besideBase(call, 'download', path) })
  } catch (error) {
    if (!(error instanceof ProviderError) || error.status !== 404) throw error
    return await call.send({ ...download, path })
  }
}

/** `files/abc` and `batches/abc` as paths. */
export function resourcePath(name: string): string {
  return `/${name.split('/').map(encodeURIComponent).join('/')}`
}

/** Uploads and downloads of bytes have a path of their own before the version: `https://host/upload/v1beta/files`. */
function besideBase({ baseUrl }: Call, what: 'upload' | 'download', path: string): string {
  const [, root = baseUrl, version = 'v1beta'] = /^(.*)\/(v1|v1beta|v1alpha)$/.exec(baseUrl) ?? []
  return `${root}/${what}/${version}${path}`
}

/** The address is Google's own. Who goes through another origin uploads through it too, as with the official SDK. */
function throughBase({ baseUrl }: Call, address: string): string {
  const base = new URL(baseUrl)
  const url = new URL(address, base)
  // The address repeats the query of the call that asked for it. A key in it comes with every call of ours, and would come twice.
  if (url.searchParams.has('key')) url.searchParams.delete('key')
  url.protocol = base.protocol
  url.host = base.host
  return url.href
}
