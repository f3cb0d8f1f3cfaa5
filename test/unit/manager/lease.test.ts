import { expect, test } from 'vitest'
import { Lease } from '../../../src/manager/lease.ts'
import { openMemoryStore } from '../../../src/store/memory-store.ts'
import { fakeClock } from '../../support/fake-clock.ts'

const LEASE_MS = 30_000

function leaseOver(store: ReturnType<typeof openMemoryStore>) {
  const clock = fakeClock()
  let losses = 0
  const lease = new Lease({ store, clock, pid: 1, settings: { leaseMs: LEASE_MS } }, () => (losses += 1))
  return { clock, lease, losses: () => losses }
}

test('a program in whose turn no timer can fire keeps its lease by going on placing jobs', () => {
  using store = openMemoryStore()
  const { clock, lease, losses } = leaseOver(store)
  const { owner } = lease

  for (let turn = 0; turn < 5; turn += 1) {
    clock.suspend(LEASE_MS / 2)
    lease.keep()
  }
  clock.advance(1)

  expect(losses()).toBe(0)
  expect(lease.owner).toBe(owner)
})

test('a lease that has run out is not kept, but entered anew once a timer fires', () => {
  using store = openMemoryStore()
  const { clock, lease, losses } = leaseOver(store)
  const { owner } = lease

  clock.suspend(LEASE_MS * 2)
  lease.keep()
  clock.advance(1)

  expect(losses()).toBe(1)
  expect(lease.owner).not.toBe(owner)
})

test('a lease is renewed no more often than each third of it', () => {
  using store = openMemoryStore()
  let renewals = 0
  const counting: typeof store = { ...store, renew: (...how) => ((renewals += 1), store.renew(...how)) }
  const { clock, lease } = leaseOver(counting)

  for (let job = 0; job < 100; job += 1) {
    clock.suspend(LEASE_MS / 100)
    lease.keep()
  }

  expect(renewals).toBe(2)
})
