import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // Interception patches process-wide things: every file gets a process of its own.
    pool: 'forks',
    // Much of the suite waits for leases, polls and children: every core takes a file.
    maxWorkers: '100%',
    testTimeout: 30_000,
    reporters: ['default'],
  },
})
