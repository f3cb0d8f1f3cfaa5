import { expect, test } from 'vitest'
import { defaultStorePath } from '../../src/config.ts'
import { moreCommands } from '../../src/more-commands.ts'
import { openMemoryStore } from '../../src/store/memory-store.ts'

const env = { OFFPEAK_HOME: '/home/me/state' }

test.each([
  [defaultStorePath(env), ['offpeak batches', 'offpeak results 12']],
  ['/tmp/own.db', ['offpeak batches --store /tmp/own.db', 'offpeak results 12 --store /tmp/own.db']],
  ['/tmp/my own.db', ['offpeak batches --store "/tmp/my own.db"', 'offpeak results 12 --store "/tmp/my own.db"']],
  [openMemoryStore(), []],
])('%#: the commands name the store where it is not the usual one', (store, commands) => {
  expect(moreCommands(store, 12, env)).toEqual(commands)
})
