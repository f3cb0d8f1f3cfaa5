import { expect, test } from 'vitest'
import { Wave } from '../../../src/manager/dry-run/wave.ts'

/** Time and turns that pass when they are told to. */
function byHand() {
  let timer: { readonly ms: number; readonly hold: boolean; readonly fire: () => void } | undefined
  let turns: (() => void)[] = []
  let overs = 0
  const wave = new Wave(
    {
      now: () => 0,
      soon: (fire) => void turns.push(fire),
      after(ms, fire, { hold = false } = {}) {
        timer = { ms, hold, fire }
        return () => (timer = undefined)
      },
    },
    () => (overs += 1),
  )
  return {
    wave,
    /** Lets the timer fire that is set. */
    time() {
      const { fire } = timer ?? {}
      timer = undefined
      fire?.()
    },
    /** Lets a turn of the event loop pass. */
    turn() {
      const due = turns
      turns = []
      for (const fire of due) fire()
    },
    get overs() {
      return overs
    },
    get timer() {
      return timer && { ms: timer.ms, hold: timer.hold }
    },
  }
}

test('a wave is over once nothing has arrived for a while and some turns; until then the process is kept', () => {
  const hand = byHand()
  hand.wave.arrived()
  const { timer } = hand

  hand.time()
  const early = hand.overs
  for (let turn = 0; turn < 3; turn++) hand.turn()

  expect(timer).toEqual({ ms: 20, hold: true })
  expect([early, hand.overs, hand.timer]).toEqual([0, 1, undefined])
})

test.each([
  ['before the time is over', 0],
  ['in the turns after it', 2],
])('what arrives %s belongs to the same wave, which begins to wait anew', (_, turns) => {
  const hand = byHand()
  hand.wave.arrived()
  if (turns === 0) hand.wave.arrived()

  hand.time()
  for (let turn = 0; turn < turns; turn++) hand.turn()
  if (turns > 0) hand.wave.arrived()
  for (let turn = 0; turn < 5; turn++) hand.turn()
  const before = hand.overs
  hand.time()
  for (let turn = 0; turn < 5; turn++) hand.turn()

  expect([before, hand.overs]).toEqual([0, 1])
})

test('a wave that was stopped is never over, and the next arrival begins another', () => {
  const hand = byHand()
  hand.wave.arrived()
  hand.time()
  hand.wave.stop()
  for (let turn = 0; turn < 5; turn++) hand.turn()
  const stopped = hand.overs

  hand.wave.arrived()
  hand.time()
  for (let turn = 0; turn < 5; turn++) hand.turn()

  expect([stopped, hand.overs]).toEqual([0, 1])
})
