import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // Interception patches process-wide things: every file gets a process of its own.
    pool: 'forks',
    testTimeout: 30_000,
    reporters: ['default'],
  },
})
