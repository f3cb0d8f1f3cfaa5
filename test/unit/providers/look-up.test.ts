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

test('a list that only happens to end in the past is read on: a batch that is overlooked is paid for twice', async () => {
  const intent = intentFor(openai, { tag: 'abcdefabcdef', createdAt: 1_790_000_000_000 })
  const batch = { ...fixtureJson('openai', 'create-reply.json'), metadata: {} }
  const old = [1_700_000_003, 1_700_000_001, 1_700_000_002].map((at) =>
    Object.assign(structuredClone(batch), { id: `old-${at}`, created_at: at }),
  )
  const ours = { ...batch, id: 'ours', created_at: 1_790_000_000, metadata: { offpeak_intent: intent.tag } }
  const call = scriptedCall(({ query }) =>
    jsonResponse(query?.['after'] === undefined ? { data: old, has_more: true } : { data: [ours], has_more: false }),
  )

  expect(await openai.find(intent, call)).toMatchObject({ kind: 'adopted', states: [{ handle: { id: 'ours' } }] })
})

test('a list that descends is left when it is past the intent', async () => {
  const intent = intentFor(openai, { tag: 'abcdefabcdef', createdAt: 1_790_000_000_000 })
  const batch = { ...fixtureJson('openai', 'create-reply.json'), metadata: {} }
  const call = scriptedCall(({ query }) => {
    const at = query?.['after'] === undefined ? 1_790_000_100 : 1_700_000_000
    return jsonResponse({ data: [{ ...batch, id: `at-${at}`, created_at: at }], has_more: true })
  })

  expect(await openai.find(intent, call)).toEqual({ kind: 'none' })
  expect(call.requests).toHaveLength(2)
})
