import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** For the environment of a child process: where Node keeps what it has compiled, which is half of what a short program of ours costs. */
export const COMPILE_CACHE: Readonly<Record<string, string>> = {
  // Node's own choice for whoever names none.
  NODE_COMPILE_CACHE: join(tmpdir(), 'node-compile-cache'),
}
