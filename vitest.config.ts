import { defineConfig } from 'vitest/config'
import { COMPILE_CACHE } from './test/support/compile-cache.ts'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // Interception patches process-wide things: every file gets a process of its own.
    pool: 'forks',
    // Much of the suite waits for leases, polls and children: more files than cores are under way.
    maxWorkers: '150%',
    testTimeout: 30_000,
    reporters: ['default'],
    // For the programs that tests start.
    env: COMPILE_CACHE,
  },
})
