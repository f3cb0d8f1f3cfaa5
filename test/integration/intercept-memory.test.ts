import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'

test('an abort reaches its call even after everything nobody holds was collected', async () => {
  const program = fileURLToPath(new URL('../support/intercept-collected.ts', import.meta.url))

  const { stdout } = await promisify(execFile)(process.execPath, ['--expose-gc', '--no-warnings', program])

  expect(JSON.parse(stdout)).toEqual({
    'the global fetch': 20,
    'the global fetch of a Request': 20,
    'a fetch captured before import': 20,
    'undici.request': 20,
  })
})
