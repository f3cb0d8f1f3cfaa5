import { once } from 'node:events'
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { prepareLocation } from '../../../src/store/location.ts'
import { tempFolder } from '../../support/store.ts'

const modeOf = (path: string): number => statSync(path).mode & 0o777

const refused = (code: string, message: RegExp | string): Error =>
  expect.objectContaining({ name: 'OffpeakError', code, message: expect.stringMatching(message) })

describe('a place for the store', () => {
  let temporary: ReturnType<typeof tempFolder>
  let root: string

  beforeEach(() => {
    temporary = tempFolder()
    root = temporary.path
  })
  afterEach(() => temporary[Symbol.dispose]())

  test('is made where there is none: folders 0700, the file 0600', () => {
    const place = prepareLocation(join(root, 'a', 'b', 'store.sqlite'))

    expect(place).toEqual({ file: join(root, 'a', 'b', 'store.sqlite'), folder: join(root, 'a', 'b') })
    expect([join(root, 'a'), join(root, 'a', 'b')].map(modeOf)).toEqual([0o700, 0o700])
    expect(modeOf(place.file)).toBe(0o600)
  })

  test('keeps what is in a file that exists', () => {
    const file = join(root, 'store.sqlite')
    writeFileSync(file, 'content', { mode: 0o600 })

    prepareLocation(file)

    expect(readFileSync(file, 'utf8')).toBe('content')
  })

  test('is made private when the folder holds nothing but the store', () => {
    const folder = join(root, 'loose')
    mkdirSync(folder)
    chmodSync(folder, 0o777)
    for (const name of ['store.sqlite', 'store.sqlite-wal', 'store.sqlite-shm']) {
      writeFileSync(join(folder, name), '')
      chmodSync(join(folder, name), 0o644)
    }

    const place = prepareLocation(join(folder, 'store.sqlite'))

    expect(place.folder).toBe(folder)
    expect(modeOf(folder)).toBe(0o700)
    expect(['', '-wal', '-shm'].map((end) => modeOf(place.file + end))).toEqual([0o600, 0o600, 0o600])
  })

  test('leaves a folder alone that holds other things and that others may only read', () => {
    const folder = join(root, 'project')
    mkdirSync(folder)
    chmodSync(folder, 0o755)
    writeFileSync(join(folder, 'package.json'), '{}')

    const place = prepareLocation(join(folder, 'store.sqlite'))

    expect(place.folder).toBeUndefined()
    expect(modeOf(folder)).toBe(0o755)
    expect(modeOf(place.file)).toBe(0o600)
  })

  test.each([0o775, 0o757, 0o1777])('is refused in a shared folder of mode %o, unchanged', (mode) => {
    const folder = join(root, 'shared')
    mkdirSync(folder)
    writeFileSync(join(folder, 'of-somebody'), '')
    chmodSync(folder, mode)

    expect(() => prepareLocation(join(folder, 'store.sqlite'))).toThrow(
      refused(
        'store-unusable',
        `Other users may write to the folder ${folder}.*${join(folder, 'offpeak', 'store.sqlite')}`,
      ),
    )
    expect(statSync(folder).mode & 0o7777).toBe(mode)
    expect(existsSync(join(folder, 'store.sqlite'))).toBe(false)
  })

  test('is refused in a folder meant for everybody, even when that is empty', () => {
    const folder = join(root, 'tmp')
    mkdirSync(folder)
    chmodSync(folder, 0o1777)

    expect(() => prepareLocation(join(folder, 'store.sqlite'))).toThrow(
      refused('store-unusable', /Other users may write/),
    )
    expect(statSync(folder).mode & 0o7777).toBe(0o1777)
  })

  test('is refused in a folder of another user', () => {
    // Root can give a folder away; everybody else finds one that is root's.
    const isRoot = process.getuid?.() === 0
    const folder = isRoot ? join(root, 'foreign') : '/'
    if (isRoot) {
      mkdirSync(folder)
      chownSync(folder, 65_534, 65_534)
    }

    expect(() => prepareLocation(join(folder, 'offpeak-test.sqlite'))).toThrow(
      refused('store-unusable', /The folder .* belongs to another user/),
    )
    expect(existsSync(join(folder, 'offpeak-test.sqlite'))).toBe(false)
  })

  test('is refused where the path leads through a file', () => {
    writeFileSync(join(root, 'file'), '')

    expect(() => prepareLocation(join(root, 'file', 'deeper', 'store.sqlite'))).toThrow(
      refused('store-unusable', `${join(root, 'file')}.*cannot be .*ENOTDIR.*OFFPEAK_HOME`),
    )
  })

  test.runIf(existsSync('/proc/self'))('is refused, and soon, where no folder can be made', () => {
    expect(() => prepareLocation('/proc/offpeak/deeper/store.sqlite')).toThrow(
      refused('store-unusable', /cannot be made/),
    )
  })

  test('is refused when it is a folder', () => {
    expect(() => prepareLocation(root)).toThrow(refused('store-unusable', `${root} is not a file; name a file`))
  })

  test('is looked at without opening it: closing it again would drop the locks of a store open in this process', async () => {
    // A socket has a name in a folder, and cannot be opened.
    const path = join(root, 'store.sqlite')
    const server = createServer().listen(path)
    await once(server, 'listening')

    expect(() => prepareLocation(path)).toThrow(refused('store-unusable', `${path} is not a file`))

    server.close()
    await once(server, 'close')
  })

  test.each(['store.sqlite', 'store.sqlite-wal'])('is refused when %s is a symbolic link', (name) => {
    writeFileSync(join(root, 'elsewhere'), 'precious', { mode: 0o644 })
    symlinkSync(join(root, 'elsewhere'), join(root, name))

    expect(() => prepareLocation(join(root, 'store.sqlite'))).toThrow(
      refused('store-unusable', `${join(root, name)} is a symbolic link`),
    )
    expect(readFileSync(join(root, 'elsewhere'), 'utf8')).toBe('precious')
  })

  test('is the folder behind a linked folder', () => {
    mkdirSync(join(root, 'real'), { mode: 0o700 })
    symlinkSync(join(root, 'real'), join(root, 'link'))

    expect(prepareLocation(join(root, 'link', 'store.sqlite')).file).toBe(join(root, 'real', 'store.sqlite'))
  })

  test('is refused on a network file system, before anything is made', () => {
    const path = join(root, 'mounted', 'store.sqlite')
    const asked: string[] = []

    expect(() =>
      prepareLocation(path, (folder) => {
        asked.push(folder)
        return 'NFS'
      }),
    ).toThrow(refused('store-network-filesystem', `${path} is on a network file system \\(NFS\\).*OFFPEAK_HOME`))
    expect(asked).toEqual([root])
    expect(existsSync(join(root, 'mounted'))).toBe(false)
  })
})
