import { spawnSync } from 'node:child_process'
import { copyFileSync, symlinkSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { tempFolder } from '../store.ts'

/** A Node, and offpeak as it runs there. */
export interface Installation {
  readonly name: string
  readonly node: string
  /** The command line. */
  readonly bin: string
  /** What `--import` takes. */
  readonly register: string
}

export interface Installations extends Disposable {
  readonly all: readonly Installation[]
}

const PROJECT = fileURLToPath(new URL('../../../', import.meta.url))

/**
 * The sources on the Node that runs the tests; or, on the Nodes that are named, the package as it is built, because not every one of them
 * can read the sources.
 */
export function installationsOf(nodes: string | undefined): Installations {
  if (!nodes) {
    const here = installed(process.execPath, join(PROJECT, 'src'), '.ts')
    return { all: [here], [Symbol.dispose]: () => undefined }
  }
  const folder = tempFolder()
  const dist = join(folder.path, 'dist')
  const built = spawnSync('tsc', ['-p', join(PROJECT, 'src'), '--outDir', dist], { encoding: 'utf8' })
  if (built.status !== 0) throw new Error(`the package cannot be built: ${built.stdout}`, { cause: built.error })
  copyFileSync(join(PROJECT, 'package.json'), join(folder.path, 'package.json'))
  symlinkSync(join(PROJECT, 'node_modules'), join(folder.path, 'node_modules'), 'junction')
  return {
    all: nodes.split(delimiter).map((node) => installed(node, dist, '.js')),
    [Symbol.dispose]: () => folder[Symbol.dispose](),
  }
}

function installed(node: string, folder: string, extension: '.ts' | '.js'): Installation {
  const { stdout, error } = spawnSync(node, ['--version'], { encoding: 'utf8' })
  if (error) throw error
  return {
    name: `Node ${stdout.trim()}`,
    node,
    bin: join(folder, `cli/bin${extension}`),
    register: pathToFileURL(join(folder, `register${extension}`)).href,
  }
}
