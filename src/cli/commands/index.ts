import type { Command } from '../command.ts'
import { batches } from './batches.ts'
import { cache } from './cache.ts'
import { demo } from './demo.ts'
import { doctor } from './doctor.ts'
import { results } from './results.ts'
import { retryFailed } from './retry-failed.ts'
import { run } from './run.ts'
import { savings } from './savings.ts'
import { simulate } from './simulate.ts'

/** Every command, in the order in which the help lists them. */
export const COMMANDS: readonly Command[] = [run, batches, results, retryFailed, savings, cache, doctor, simulate, demo]
