import { defineConfig } from 'vitest/config'
import { COMPILE_CACHE } from './test/support/compile-cache.ts'

/** Tests that leave their process as they found it: several files share one, which saves each of them half a second. */
const SHARING = [
  'test/unit/**/*.test.ts',
  'test/contract/providers/*.test.ts',
  'test/contract/store.contract.test.ts',
  'test/integration/faults-*.test.ts',
]

export default defineConfig({
  test: {
    testTimeout: 30_000,
    // Much of the suite waits for leases, polls and children: more files than cores are under way.
    maxWorkers: '150%',
    pool: 'forks',
    // For the programs that tests start.
    env: COMPILE_CACHE,
    reporters: ['default'],
    projects: [
      { extends: true, test: { name: 'shared', include: SHARING, isolate: false } },
      // Interception patches process-wide things: every file gets a process of its own.
      { extends: true, test: { name: 'apart', include: ['test/**/*.test.ts'], exclude: SHARING } },
    ],
  },
})
