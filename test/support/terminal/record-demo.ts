import { fileURLToPath } from 'node:url'
import { tempFolder } from '../store.ts'
import { lookAtScreen } from './look-at-screen.ts'
import { openTerminal, shellWords } from './open-terminal.ts'

/** `offpeak demo` at a terminal of 80 columns. */
export interface DemoRecording {
  readonly code: number | null
  /** All it has written, colours and all. */
  readonly output: string
  /** The block when about half was done. */
  readonly block: readonly string[]
  /** What is left on the screen. */
  readonly ending: readonly string[]
}

const BIN = fileURLToPath(new URL('../../../src/cli/bin.ts', import.meta.url))
const COLUMNS = 80
const ROWS = 24
/** Where its user's store would be. */
const HOME = '~/.local/state/offpeak'

export async function recordDemo(batchMs: number): Promise<DemoRecording> {
  using folder = tempFolder()
  const line = `exec ${shellWords(process.execPath, '--no-warnings', BIN, 'demo', '--batch-ms', String(batchMs))}`
  const env = { OFFPEAK_HOME: folder.path, LANG: 'C.UTF-8' }
  const program = openTerminal(line, { env, size: { columns: COLUMNS, rows: ROWS } })
  try {
    const { code, output } = await program.ended
    // Lines of the block fit; those that are longer would be cut in two, where whoever reads a page would rather have them whole.
    const { frames, lines } = lookAtScreen(output.replaceAll(folder.path, HOME), { columns: 1000, rows: ROWS })
    const ending = lines.slice(lines.findIndex((text) => /^offpeak {2}\d+ requests/.test(text)))
    return { code, output, block: inTheMiddle(frames.map(blockOf)), ending }
  } finally {
    program.kill()
    await program.ended
  }
}

function blockOf(frame: readonly string[]): readonly string[] {
  const from = frame.findIndex((text) => /^offpeak {2}[━─]/.test(text))
  return from === -1 ? [] : frame.slice(from)
}

/** Of those in which every batch is on its way the one that is nearest to half. */
function inTheMiddle(blocks: readonly (readonly string[])[]): readonly string[] {
  const distances = blocks.map((lines) => {
    const shares = lines.slice(2).map((line) => {
      const [, done, total] = /(\d+)\/(\d+)/.exec(line) ?? []
      return Number(done) / Number(total)
    })
    const isUnderWay = shares.length > 0 && shares.every((share) => share > 0 && share < 1)
    return isUnderWay ? Math.max(...shares.map((share) => Math.abs(share - 0.5))) : Infinity
  })
  const nearest = Math.min(...distances)
  const block = blocks[distances.indexOf(nearest)]
  if (!block || nearest === Infinity) throw new Error('no frame shows every batch on its way')
  return block
}
