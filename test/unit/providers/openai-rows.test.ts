import { describe, expect, test } from 'vitest'
import { outputRow } from '../../../src/providers/toolkit/openai-rows.ts'

const body = '{"id":"chatcmpl-1","n": 1.0,"text":"a \\"}, \\"error\\": null} b"}'

function row(spaces: string, content: string, rest = ''): string {
  const s = spaces
  const response = `{"status_code":${s}200,${s}"request_id":${s}"req_9",${s}"body":${s}${content}${rest}}`
  return `{"id":${s}"batch_req_1",${s}"custom_id":${s}"abcdef-7",${s}"response":${s}${response},${s}"error":${s}null}`
}

describe('reading a row of results', () => {
  test.each([
    ['with spaces', row(' ', body)],
    ['without spaces', row('', body)],
    ['with two spaces', row('  ', body)],
    ['with a further member after the body', row(' ', body, ', "more": {"body": 1}')],
    [
      'with its members in another order',
      `{"response":{"body":${body},"request_id":"req_9","status_code":200},"custom_id":"abcdef-7"}`,
    ],
  ])('%s it gives the body exactly as it is written', (_, line) => {
    expect(outputRow(line)).toEqual({
      kind: 'reply',
      customId: 'abcdef-7',
      status: 200,
      requestId: 'req_9',
      body,
      json: JSON.parse(body),
    })
  })

  test('of two bodies the last one counts, as for every JSON parser', () => {
    const read = outputRow(row(' ', '{"text":"first"}', ', "body": {"text":"last"}'))

    expect(read).toMatchObject({ kind: 'reply', body: '{"text":"last"}', json: { text: 'last' } })
  })

  test('a row whose body is cut is unreadable, although its beginning and its end are whole', () => {
    const read = outputRow(row(' ', body.slice(0, -1)))

    expect(read).toEqual({ kind: 'unreadable' })
  })

  test('a row without a request id is known by its own id', () => {
    for (const none of ['""', 'null']) {
      const read = outputRow(row(' ', body).replace('"req_9"', none))

      expect(read).toMatchObject({ requestId: 'batch_req_1', body })
    }
  })
})
