import { event, pieces, type Answer } from '../endpoint.ts'
import { isObject } from '../json.ts'

/** A message as the server-sent events that `stream: true` asks for: named events, `message_start` to `message_stop`. */
export function messageEvents(message: Answer): readonly string[] {
  const events: string[] = []
  const send = (type: string, fields: Answer = {}): void => {
    events.push(event({ type, ...fields }, type))
  }
  const { content, stop_reason: stopReason, stop_sequence: stopSequence, usage } = message
  const whole = isObject(usage) ? usage : {}

  send('message_start', {
    message: { ...message, content: [], stop_reason: null, usage: { ...whole, output_tokens: 1 } },
  })
  for (const [index, block] of (Array.isArray(content) ? content : []).entries()) {
    if (!isObject(block)) continue
    const { begun, deltas } = inPieces(block)
    send('content_block_start', { index, content_block: begun })
    if (index === 0) send('ping')
    for (const delta of deltas) send('content_block_delta', { index, delta })
    send('content_block_stop', { index })
  }
  send('message_delta', {
    delta: { stop_reason: stopReason, stop_sequence: stopSequence, stop_details: null, container: null },
    usage: {
      input_tokens: whole['input_tokens'],
      output_tokens: whole['output_tokens'],
      output_tokens_details: whole['output_tokens_details'],
      cache_creation_input_tokens: whole['cache_creation_input_tokens'],
      cache_read_input_tokens: whole['cache_read_input_tokens'],
      server_tool_use: null,
    },
  })
  send('message_stop')
  return events
}

function inPieces(block: Answer): { readonly begun: Answer; readonly deltas: readonly Answer[] } {
  switch (block['type']) {
    case 'tool_use': {
      const input = JSON.stringify(block['input'])
      const deltas = pieces(input).map((piece) => ({ type: 'input_json_delta', partial_json: piece }))
      return { begun: { ...block, input: {} }, deltas: [{ type: 'input_json_delta', partial_json: '' }, ...deltas] }
    }
    case 'thinking': {
      const thought = typeof block['thinking'] === 'string' ? block['thinking'] : ''
      const deltas = pieces(thought).map((piece): Answer => ({ type: 'thinking_delta', thinking: piece }))
      const signature = { type: 'signature_delta', signature: block['signature'] }
      return { begun: { ...block, thinking: '', signature: '' }, deltas: [...deltas, signature] }
    }
    default: {
      const text = typeof block['text'] === 'string' ? block['text'] : ''
      return {
        begun: { ...block, text: '' },
        deltas: pieces(text).map((piece) => ({ type: 'text_delta', text: piece })),
      }
    }
  }
}
