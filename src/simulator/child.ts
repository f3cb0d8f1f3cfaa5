import { startSimulator, type SimulatorOptions } from './index.ts'
import { parseJson } from './json.ts'

/**
 * A simulator in a process of its own: options as one JSON argument, one line `{"url":…}` on stdout once it listens. It ends when
 * its stdin closes, which also happens when its parent dies in any way, so that it is never left behind.
 */
const argument = process.argv[2]
// `startSimulator` checks what it is given; text that is not JSON becomes undefined and is refused here.
const options = argument === undefined ? {} : (parseJson(argument) as SimulatorOptions | undefined)
if (options === undefined) throw new Error(`the options are not JSON: ${argument}`)

const simulator = await startSimulator(options)
const leave = (): void => {
  void simulator.close().finally(() => process.exit(0))
}
process.stdin.once('end', leave).once('close', leave).once('error', leave).resume()
process.once('SIGTERM', leave).once('SIGINT', leave)
process.stdout.on('error', leave)
process.stdout.write(`${JSON.stringify({ url: simulator.url })}\n`)
