import { expect, test } from 'vitest'
import { openai } from '../../../src/providers/openai.ts'
import { fixtureJson, intentFor, jsonResponse, scriptedCall } from '../../support/provider-call.ts'

test('a batch that a list shows on two pages is found once: as its own twin it would be cancelled', async () => {
  const intent = intentFor(openai, { tag: 'abcdefabcdef', createdAt: 1_790_000_000_000 })
  const ours = { ...fixtureJson('openai', 'create-reply.json'), id: 'ours', metadata: { offpeak_intent: intent.tag } }
  // A gateway that takes no notice of the cursor.
  const call = scriptedCall(() => jsonResponse({ data: [ours], has_more: true, last_id: 'ours' }))

  const found = await openai.find(intent, call)

  expect(call.requests).toHaveLength(2)
  expect(found).toMatchObject({ kind: 'adopted', states: [{ handle: { id: 'ours' } }] })
  expect(found.kind === 'none' ? 0 : found.states.length).toBe(1)
})
