import { expect, test } from 'vitest'
import { boundaryOf, MultipartError, readMultipart } from '../../../src/simulator/multipart.ts'

interface Part {
  readonly name: string
  readonly fileName: string | undefined
  content: string
}

async function* inPieces(text: string, size: number): AsyncGenerator<Buffer> {
  const bytes = Buffer.from(text)
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}

async function parse(text: string, size = 7): Promise<readonly Part[]> {
  const parts: Part[] = []
  await readMultipart(inPieces(text, size), 'XX', (head) => {
    const pieces: Buffer[] = []
    const part: Part = { ...head, content: '' }
    parts.push(part)
    return {
      write(piece) {
        pieces.push(Buffer.from(piece))
        part.content = Buffer.concat(pieces).toString('utf8')
      },
    }
  })
  return parts
}

const CONTENT = 'line é one\r\n--XY is no boundary\r\n--X\r\n\r\nline two\r\n'
const BODY = [
  '--XX\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nbatch\r\n',
  '--XX\r\ncontent-disposition: form-data; name="empty"\r\n\r\n\r\n',
  `--XX\r\nContent-Disposition: form-data; name="file"; filename="a \\"b\\" %22c%22.jsonl"\r\nContent-Type: text/plain\r\n\r\n${CONTENT}\r\n`,
  '--XX--\r\n',
].join('')

test.each([1, 2, 3, 5, 16, 64, 10_000])(
  'parts are the same however the body arrives (%i bytes at a time)',
  async (size) => {
    const parts = await parse(BODY, size)

    expect(parts).toEqual([
      { name: 'purpose', fileName: undefined, content: 'batch' },
      { name: 'empty', fileName: undefined, content: '' },
      { name: 'file', fileName: 'a "b" "c".jsonl', content: CONTENT },
    ])
  },
)

test.each([
  ['is cut off', BODY.slice(0, -20), /ends before/],
  ['is empty', '', /ends before/],
  ['has a part without a name', '--XX\r\nContent-Type: text/plain\r\n\r\nx\r\n--XX--', /no name/],
  ['has something else after a boundary', '--XXoops', /neither/],
  ['has endless headers', `--XX\r\n${'x'.repeat(20_000)}`, /too long/],
])('a body that %s is refused', async (_, text, reason) => {
  const reading = parse(text, 4096)

  await expect(reading).rejects.toBeInstanceOf(MultipartError)
  await expect(reading).rejects.toThrow(reason)
})

test('a boundary is found with and without quotes, and nowhere else', () => {
  expect(boundaryOf('multipart/form-data; boundary=abc')).toBe('abc')
  expect(boundaryOf('multipart/form-data; charset=utf-8; boundary="a b"')).toBe('a b')
  expect(boundaryOf('application/json')).toBeUndefined()
  expect(boundaryOf(undefined)).toBeUndefined()
})
