/** What a part's own headers say about it. */
export interface PartHead {
  readonly name: string
  /** Present on files. */
  readonly fileName: string | undefined
}

/** Receives one part's content, piece by piece. */
export interface PartSink {
  write(piece: Buffer): void | Promise<void>
}

const HEADERS_END = Buffer.from('\r\n\r\n')
const MAX_HEADER_BYTES = 16 * 1024

/** The boundary of a multipart/form-data content type; undefined for any other type. */
export function boundaryOf(contentType: string | undefined): string | undefined {
  const match = /^multipart\/form-data\s*;.*?\bboundary=(?:"([^"]+)"|([^\s;]+))/i.exec(contentType ?? '')
  return match?.[1] ?? match?.[2]
}

/**
 * Reads multipart/form-data as it arrives, handing every part's bytes to the sink `open` returns for it; holds no more than one
 * piece. Rejects when the input is not well formed or ends early.
 */
export async function readMultipart(
  input: AsyncIterable<Buffer>,
  boundary: string,
  open: (head: PartHead) => PartSink,
): Promise<void> {
  const parser = createParser(Buffer.from(`\r\n--${boundary}`), open)
  for await (const piece of input) await parser.take(piece)
  if (!parser.done()) throw new MultipartError('the body ends before its last boundary')
}

interface Parser {
  take(piece: Buffer): Promise<void>
  done(): boolean
}

function createParser(delimiter: Buffer, open: (head: PartHead) => PartSink): Parser {
  let reading: 'preamble' | 'delimiter-end' | 'headers' | 'body' | 'done' = 'preamble'
  // The first delimiter has no line before it; with this it looks like all others.
  let held: Buffer = Buffer.from('\r\n')
  let sink: PartSink | undefined

  return {
    async take(piece) {
      held = held.length === 0 ? piece : Buffer.concat([held, piece])
      for (let more = true; more;) more = await step()
    },
    done: () => reading === 'done',
  }

  /** Takes what it can from `held`; false when it needs more input. */
  async function step(): Promise<boolean> {
    switch (reading) {
      case 'preamble':
      case 'body': {
        const at = held.indexOf(delimiter)
        const until = at === -1 ? Math.max(0, held.length - delimiter.length + 1) : at
        if (until > 0) await sink?.write(held.subarray(0, until))
        held = held.subarray(at === -1 ? until : at + delimiter.length)
        if (at === -1) return false
        sink = undefined
        reading = 'delimiter-end'
        return true
      }
      case 'delimiter-end': {
        if (held.length < 2) return false
        const ending = held.toString('latin1', 0, 2)
        if (ending === '--') reading = 'done'
        // The line break is left where it is: it makes the end of an empty header block look like any other.
        else if (ending === '\r\n') reading = 'headers'
        else throw new MultipartError('a boundary is followed by neither a part nor the end')
        return true
      }
      case 'headers': {
        const end = held.indexOf(HEADERS_END)
        if (end === -1) {
          if (held.length > MAX_HEADER_BYTES) throw new MultipartError("a part's headers are too long")
          return false
        }
        sink = open(partHead(held.toString('utf8', 0, end)))
        held = held.subarray(end + HEADERS_END.length)
        reading = 'body'
        return true
      }
      case 'done':
        held = Buffer.alloc(0)
        return false
    }
  }
}

/** The sender's mistake, to be answered with a 400. */
export class MultipartError extends Error {
  override readonly name = 'MultipartError'
}

function partHead(headers: string): PartHead {
  const disposition = /^content-disposition:(.*)$/im.exec(headers)?.[1] ?? ''
  const name = parameter(disposition, 'name')
  if (name === undefined) throw new MultipartError('a part has no name')
  return { name, fileName: parameter(disposition, 'filename') }
}

function parameter(disposition: string, name: string): string | undefined {
  const match = new RegExp(`;\\s*${name}=(?:"((?:[^"\\\\]|\\\\.)*)"|([^\\s;]+))`, 'i').exec(disposition)
  const value = match?.[1] ?? match?.[2]
  return value?.replaceAll('%22', '"').replaceAll(/\\(.)/g, '$1')
}
