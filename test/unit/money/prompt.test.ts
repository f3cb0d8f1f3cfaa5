import { describe, expect, test } from 'vitest'
import type { JsonObject } from '../../../src/core/request.ts'
import { promptSize } from '../../../src/money/prompt.ts'

/** A tokenizer one can count by: a token per character. */
const perCharacter = (text: string): number => text.length
const said = (text: string): number => perCharacter(text)

function tokens(body: JsonObject, provider = 'openai'): number {
  return promptSize(body, provider, perCharacter).tokens
}

const PNG = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJ'.repeat(100)
const PER_REQUEST = tokens({})
const PER_MESSAGE = tokens({ messages: [{ role: 'user', content: '' }] }) - PER_REQUEST

describe('the prompt of a request', () => {
  test.each<[string, JsonObject, number]>([
    [
      'a chat completion: system and user',
      {
        model: 'm',
        messages: [
          { role: 'system', content: 'be brief' },
          { role: 'user', content: [{ type: 'text', text: 'hello' }] },
        ],
      },
      said('be briefhello') + 2 * PER_MESSAGE,
    ],
    [
      'a response: instructions and items',
      {
        model: 'm',
        instructions: 'be brief',
        input: [{ role: 'user', content: [{ type: 'input_text', text: 'hello' }] }],
        text: { verbosity: 'low' },
        reasoning: { effort: 'high' },
      },
      said('be briefhello') + PER_MESSAGE,
    ],
    ['a response to a plain text', { model: 'm', input: 'hello' }, said('hello')],
    [
      'a message: system blocks, a tool that was called, and its answer',
      {
        model: 'm',
        max_tokens: 9,
        system: [{ type: 'text', text: 'be brief', cache_control: { type: 'ephemeral' } }],
        messages: [
          { role: 'user', content: 'weather?' },
          { role: 'assistant', content: [{ type: 'tool_use', id: 'toolu_1', name: 'look', input: { at: 'Graz' } }] },
          {
            role: 'user',
            content: [{ type: 'tool_result', tool_use_id: 'toolu_1', content: [{ type: 'text', text: 'sun' }] }],
          },
        ],
      },
      said('be briefweather?look{"at":"Graz"}sun') + 3 * PER_MESSAGE,
    ],
    [
      'content that Gemini is to go on from',
      {
        systemInstruction: { parts: [{ text: 'be brief' }] },
        contents: [
          { role: 'user', parts: [{ text: 'weather?' }] },
          { role: 'model', parts: [{ functionCall: { name: 'look', args: { at: 'Graz' } } }] },
          { role: 'user', parts: [{ functionResponse: { name: 'look', response: { sky: 'sun' } } }] },
        ],
        generationConfig: { temperature: 0, maxOutputTokens: 10 },
        safetySettings: [{ category: 'HARM_CATEGORY_HARASSMENT', threshold: 'BLOCK_NONE' }],
      },
      said('be briefweather?look{"at":"Graz"}look{"sky":"sun"}') + 3 * PER_MESSAGE,
    ],
    [
      'a tool call of a chat completion',
      {
        messages: [
          {
            role: 'assistant',
            content: null,
            tool_calls: [{ id: 'call_1', type: 'function', function: { name: 'look', arguments: '{"at":"Graz"}' } }],
          },
          { role: 'tool', tool_call_id: 'call_1', content: 'sun' },
        ],
      },
      said('look{"at":"Graz"}sun') + 2 * PER_MESSAGE,
    ],
    ['texts to be embedded', { model: 'm', input: ['one', 'two'] }, said('onetwo')],
    ['tokens to be embedded', { model: 'm', input: [[1, 2, 3], [4]] }, 4],
    [
      'several requests in one',
      { requests: [{ model: 'm', content: { parts: [{ text: 'one' }] } }, { content: { parts: [{ text: 'two' }] } }] },
      said('onetwo') + 2 * PER_REQUEST,
    ],
    ['what stands before and after a gap', { prompt: 'function ', suffix: '}' }, said('function }')],
    [
      'a document that is text',
      {
        messages: [
          {
            role: 'user',
            content: [{ type: 'document', source: { type: 'text', data: 'once', media_type: 'text/plain' } }],
          },
        ],
      },
      said('once') + PER_MESSAGE,
    ],
  ])('%s', (_, body, expected) => {
    expect(tokens(body)).toBe(expected + PER_REQUEST)
    expect(promptSize(body, 'openai').uncounted).toEqual([])
  })

  const schema = { type: 'object', properties: { sky: { type: 'string' } } }

  test.each<[string, JsonObject, unknown]>([
    [
      'tools',
      { tools: [{ type: 'function', name: 'look', parameters: schema }] },
      [{ type: 'function', name: 'look', parameters: schema }],
    ],
    [
      'the schema of a chat completion',
      { response_format: { type: 'json_schema', json_schema: { name: 's', schema } } },
      { name: 's', schema },
    ],
    ['the schema of a response', { text: { format: { type: 'json_schema', name: 's', schema } } }, schema],
    ['the schema of a message', { output_config: { format: { type: 'json_schema', schema } } }, schema],
    ['the schema of a Gemini call', { generationConfig: { responseJsonSchema: schema } }, schema],
  ])('%s are read by the model, and count', (_, body, read) => {
    expect(tokens(body)).toBe(JSON.stringify(read).length + PER_REQUEST)
  })

  test('settings are not read by the model', () => {
    expect(
      tokens({ model: 'some-long-name', temperature: 1, metadata: { job: 'x'.repeat(99) }, user: 'somebody' }),
    ).toBe(PER_REQUEST)
  })
})

describe('pictures in a prompt', () => {
  const byProvider: readonly [string, JsonObject][] = [
    [
      'openai',
      {
        messages: [
          { role: 'user', content: [{ type: 'image_url', image_url: { url: `data:image/png;base64,${PNG}` } }] },
        ],
      },
    ],
    [
      'openai',
      { input: [{ role: 'user', content: [{ type: 'input_image', image_url: 'https://example.com/a.png' }] }] },
    ],
    [
      'anthropic',
      {
        messages: [
          {
            role: 'user',
            content: [{ type: 'image', source: { type: 'base64', media_type: 'image/png', data: PNG } }],
          },
        ],
      },
    ],
    ['gemini', { contents: [{ role: 'user', parts: [{ inlineData: { mimeType: 'image/png', data: PNG } }] }] }],
    ['gemini', { contents: [{ role: 'user', parts: [{ file_data: { mime_type: 'image/png', file_uri: 'x' } }] }] }],
  ]

  test.each(byProvider)('at %s come to a fixed number, however many bytes they are', (provider, body) => {
    const size = promptSize(body, provider, perCharacter)

    expect(size.images).toBe(1)
    expect(size.uncounted).toEqual([])
    expect(size.tokens).toBeGreaterThan(200)
    expect(size.tokens).toBeLessThan(2000)
  })

  test('of low detail come to less', () => {
    const picture = (detail: string): JsonObject => ({
      messages: [
        { role: 'user', content: [{ type: 'image_url', image_url: { url: 'https://example.com/a.png', detail } }] },
      ],
    })

    expect(tokens(picture('low'))).toBeLessThan(tokens(picture('high')) / 2)
  })

  test('at a provider that does not say what they come to are named, not counted as nothing', () => {
    const body = {
      messages: [{ role: 'user', content: [{ type: 'image_url', image_url: 'https://example.com/a.png' }] }],
    }

    expect(promptSize(body, 'groq')).toMatchObject({ images: 0, uncounted: ['an image'] })
  })
})

describe('what cannot be counted from here is named', () => {
  test.each<[string, JsonObject]>([
    ['a file', { input: [{ role: 'user', content: [{ type: 'input_file', file_id: 'file-1' }] }] }],
    [
      'a document',
      { messages: [{ role: 'user', content: [{ type: 'document', source: { type: 'base64', data: PNG } }] }] },
    ],
    ['a document', { model: 'm', document: { type: 'document_url', document_url: 'https://example.com/a.pdf' } }],
    ['audio', { messages: [{ role: 'user', content: [{ type: 'input_audio', input_audio: { data: PNG } }] }] }],
    ['audio', { contents: [{ parts: [{ inlineData: { mimeType: 'audio/mp3', data: PNG } }] }] }],
    ['video', { contents: [{ parts: [{ fileData: { mimeType: 'video/mp4', fileUri: 'x' } }] }] }],
    ['a file', { contents: [{ parts: [{ fileData: { mimeType: 'application/pdf', fileUri: 'x' } }] }] }],
    ['an earlier response', { input: 'and then?', previous_response_id: 'resp_1' }],
    ['cached content', { contents: [{ parts: [{ text: 'and then?' }] }], cachedContent: 'cachedContents/1' }],
  ])('%s', (what, body) => {
    expect(promptSize(body, 'gemini').uncounted).toEqual([what])
    expect(promptSize(body, 'gemini').tokens).toBeLessThan(100)
  })

  test('once, however often it comes', () => {
    const part = { type: 'input_file', file_id: 'file-1' }

    expect(promptSize({ input: [{ role: 'user', content: [part, part] }] }, 'openai').uncounted).toEqual(['a file'])
  })
})

test('a body that is shaped like nothing we know is no reason to fail', () => {
  const odd: JsonObject = {
    messages: 7,
    input: null,
    tools: 'x',
    contents: [[[]], null, true],
    requests: [1, null],
    text: [],
  }

  expect(tokens(odd)).toBeGreaterThanOrEqual(PER_REQUEST)
})
