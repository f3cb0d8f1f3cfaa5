import type { Command } from '../command.ts'
import { cache } from './cache.ts'
import { doctor } from './doctor.ts'
import { run } from './run.ts'
import { simulate } from './simulate.ts'

/** Every command, in the order in which the help lists them. */
export const COMMANDS: readonly Command[] = [run, cache, doctor, simulate]
