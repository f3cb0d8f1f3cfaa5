import { randomBytes } from 'node:crypto'

/**
 * A form as one Blob, which is read as it is sent. Node 24 reads a form given to `fetch` into memory whole, and ends the process with
 * an error nobody can catch when the connection is lost or the call aborted meanwhile (https://github.com/nodejs/undici/issues/5835).
 */
export function multipartOf(form: FormData): Blob {
  const boundary = `offpeak-${randomBytes(16).toString('hex')}`
  const parts: (string | Blob)[] = []
  for (const [name, value] of form) {
    const head = `--${boundary}\r\ncontent-disposition: form-data; name="${quotable(name)}"`
    if (typeof value === 'string') {
      parts.push(`${head}\r\n\r\n${value}\r\n`)
    } else {
      const type = value.type || 'application/octet-stream'
      parts.push(`${head}; filename="${quotable(value.name)}"\r\ncontent-type: ${type}\r\n\r\n`, value, '\r\n')
    }
  }
  parts.push(`--${boundary}--\r\n`)
  return new Blob(parts, { type: `multipart/form-data; boundary=${boundary}` })
}

/** As browsers do it. */
function quotable(text: string): string {
  return text.replaceAll('\n', '%0A').replaceAll('\r', '%0D').replaceAll('"', '%22')
}
