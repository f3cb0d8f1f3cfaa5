import { describe, expect, test } from 'vitest'
import { isWindowsShare, mountTypeOf, networkFileSystem } from '../../../src/store/filesystems.ts'

const noMount = (): undefined => undefined

describe('networkFileSystem on Linux', () => {
  test.each([
    ['NFS', 0x6969],
    ['SMB', 0x517b],
    ['CIFS', 0xff534d42],
    ['SMB2', 0xfe534d42],
    ['AFS', 0x5346414f],
    ['9P', 0x01021997],
    ['Ceph', 0x00c36400],
  ])('recognises %s', (name, magic) => {
    expect(networkFileSystem('linux', magic, noMount)).toBe(name)
  })

  test.each([
    ['ext4', 0xef53],
    ['xfs', 0x58465342],
    ['btrfs', 0x9123683e],
    ['zfs', 0x2fc12fc1],
    ['tmpfs', 0x01021994],
    ['overlay', 0x794c7630],
    ['f2fs', 0xf2f52010],
    ['one nobody knows', 0x12345678],
  ])('lets %s be', (_, magic) => {
    expect(networkFileSystem('linux', magic, noMount)).toBeUndefined()
  })

  test('recognises numbers that came as signed ones', () => {
    expect(networkFileSystem('linux', 0xff534d42 | 0, noMount)).toBe('CIFS')
  })

  test.each(['fuse.sshfs', 'fuse.rclone', 'fuse.s3fs', 'fuse.glusterfs', 'fuse.gcsfuse'])(
    'recognises %s by its mount',
    (type) => {
      expect(networkFileSystem('linux', 0x65735546, () => type)).toBe(type)
    },
  )

  test.each(['fuse.gocryptfs', 'fuseblk', 'fuse.fuse-overlayfs', undefined])('lets %s behind FUSE be', (type) => {
    expect(networkFileSystem('linux', 0x65735546, () => type)).toBeUndefined()
  })
})

test('elsewhere the numbers of Linux mean nothing', () => {
  expect(networkFileSystem('darwin', 0x1a, noMount)).toBeUndefined()
  expect(networkFileSystem('darwin', 2, noMount)).toBe('NFS')
  expect(networkFileSystem('win32', 0x6969, noMount)).toBeUndefined()
})

describe('mountTypeOf', () => {
  const mountinfo = [
    '21 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda rw',
    '36 21 0:40 / /home/ada/remote rw,nosuid shared:9 - fuse.sshfs ada@host: rw',
    '37 21 0:41 / /home/ada/two\\040words rw master:1 propagate_from:2 - fuse.rclone x rw',
    '38 21 0:42 / /over rw - fuse.sshfs x rw',
    '39 21 0:43 / /over rw - ext4 x rw',
    '',
  ].join('\n')

  test.each([
    ['/etc', 'ext4'],
    ['/home/ada/remote', 'fuse.sshfs'],
    ['/home/ada/remote/deep/er', 'fuse.sshfs'],
    ['/home/ada/remoteness', 'ext4'],
    ['/home/ada/two words/x', 'fuse.rclone'],
    ['/over/x', 'ext4'],
  ])('finds that %s is on %s', (path, type) => {
    expect(mountTypeOf(path, mountinfo)).toBe(type)
  })

  test('knows nothing without mounts', () => {
    expect(mountTypeOf('/etc', '')).toBeUndefined()
  })
})

test.each([
  ['\\\\server\\share\\store.sqlite', true],
  ['//server/share/store.sqlite', true],
  ['\\\\?\\UNC\\server\\share', true],
  ['\\\\?\\C:\\store.sqlite', false],
  ['\\\\.\\C:\\store.sqlite', false],
  ['C:\\store.sqlite', false],
])('%s is a Windows share: %s', (path, isShare) => {
  expect(isWindowsShare(path)).toBe(isShare)
})
