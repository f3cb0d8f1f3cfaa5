import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { readFileSync } from 'node:fs'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { OffpeakEvent } from '../../src/core/events.ts'
import { announceScope, EVENT_TYPES } from '../../src/diagnostics.ts'
import { createEmitter } from '../../src/emitter.ts'
import { fact } from './progress/facts.ts'

/** What a channel says, until the test is over. */
function heardOn(name: string): readonly unknown[] {
  const heard: unknown[] = []
  const listener = (message: unknown): void => void heard.push(message)
  subscribe(name, listener)
  onTestFinished(() => void unsubscribe(name, listener))
  return heard
}

describe('the README', () => {
  const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8')
  const table = readme.slice(readme.indexOf('<!-- events -->'), readme.indexOf('<!-- /events -->'))
  const rows = table.split('\n').filter((line) => line.startsWith('| `'))
  const ofEvery = ['type', 'at']
  const ofRequests = [...ofEvery, 'provider', 'endpoint', 'model']
  const ofBatches = [...ofRequests, 'intent', 'id', 'submittedAt', 'jobs', 'counts', 'metadata']

  test.each(EVENT_TYPES)('says when %s happens and what it carries', (type) => {
    const [row = '', ...others] = rows.filter((line) => line.startsWith(`| \`${type}\``))
    const [, name = '', when = '', fields = ''] = row.split('|')
    const common = name.includes('◦') ? ofBatches : type.startsWith('scope-') ? ofEvery : ofRequests

    const documented = [...common, ...Array.from(fields.matchAll(/`(\w+)`/g), ([, field]) => field)]

    expect(others).toEqual([])
    expect(when.trim()).not.toBe('')
    expect(new Set(documented)).toEqual(new Set(Object.keys(fact(type))))
  })

  test('names no event that there is not', () => {
    expect(rows).toHaveLength(EVENT_TYPES.length)
  })
})

describe('node:diagnostics_channel', () => {
  test.each(EVENT_TYPES)('%s is published as it is, once its code is through', async (type) => {
    const heard = heardOn(`offpeak:${type}`)
    const event = fact(type)

    createEmitter().emit(event)
    expect(heard).toEqual([])
    await Promise.resolve()

    expect(heard).toEqual([event])
    expect(heard[0]).toBe(event)
  })

  test('has the events of every scope, in order, beside their own listeners', async () => {
    const heard = heardOn('offpeak:request-queued')
    const own: OffpeakEvent[] = []
    const [one, other] = [createEmitter(), createEmitter()]
    one.on('request-queued', (event) => own.push(event))
    const events = [1, 2, 3].map((job) => fact('request-queued', { job }))

    one.emit(fact('request-settled'))
    for (const [index, event] of events.entries()) (index === 1 ? other : one).emit(event)
    await Promise.resolve()

    expect(heard).toHaveLength(3)
    expect(heard).toEqual(expect.arrayContaining(events))
    expect(own).toEqual([events[0], events[2]])
  })

  test('keeps nothing for nobody: who comes late hears nothing of before', async () => {
    const emitter = createEmitter()
    emitter.emit(fact('batch-progress'))
    const heard = heardOn('offpeak:batch-progress')

    await Promise.resolve()

    expect(heard).toEqual([])
  })

  test('has every scope as it opens', () => {
    const heard = heardOn('offpeak:scope')
    const scope = {}

    announceScope(scope)

    expect(heard[0]).toBe(scope)
  })
})
