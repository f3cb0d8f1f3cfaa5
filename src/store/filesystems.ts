/**
 * Kinds of file systems by the number `statfs` gives on Linux (`include/uapi/linux/magic.h`, `man 2 statfs`). A write-ahead log needs
 * memory shared between processes and locks that hold; over a network neither is certain, and a store that loses either may pay twice.
 */
const NETWORK: ReadonlyMap<number, string> = new Map([
  [0x6969, 'NFS'],
  [0x517b, 'SMB'],
  [0xff534d42, 'CIFS'],
  [0xfe534d42, 'SMB2'],
  [0x5346414f, 'AFS'],
  [0x6b414653, 'AFS'],
  [0x73757245, 'Coda'],
  [0x564c, 'NCP'],
  [0x01021997, '9P'],
  [0x00c36400, 'Ceph'],
  [0x0bd00bd0, 'Lustre'],
  [0x47504653, 'GPFS'],
  [0x19830326, 'BeeGFS'],
  [0xaad7aaea, 'PanFS'],
  [0x01161970, 'GFS2'],
  [0x7461636f, 'OCFS2'],
  [0x786f4256, 'VirtualBox shared folder'],
  [0xbacbacbc, 'VMware shared folder'],
  [0x7c7c6673, 'Parallels shared folder'],
])

const FUSE = 0x65735546

/** `vfc_typenum` of NFS on macOS, whose other network file systems get their numbers at run time. */
const MACOS_NFS = 2

/** Programs behind FUSE that go over a network. Others (encrypted folders, NTFS, overlays of containers) are local. */
const NETWORK_FUSE =
  /sshfs|rclone|s3|gcsfuse|goofys|davfs|curlftpfs|gluster|ceph|blobfuse|juicefs|gvfs|smbnetfs|afp|moose|9p/i

/** Which network file system this is, for people; undefined when it is none. `mountType` is asked only where the number leaves it open. */
export function networkFileSystem(
  platform: string,
  magic: number,
  mountType: () => string | undefined,
): string | undefined {
  // Some are negative where the number is a signed 32-bit one.
  const kind = magic >>> 0
  if (platform === 'darwin') return kind === MACOS_NFS ? 'NFS' : undefined
  if (platform !== 'linux') return undefined
  if (kind !== FUSE) return NETWORK.get(kind)
  const type = mountType()
  return type !== undefined && NETWORK_FUSE.test(type) ? type : undefined
}

/** The type of the file system that an absolute path is on, read from the text of `/proc/self/mountinfo`. */
export function mountTypeOf(path: string, mountinfo: string): string | undefined {
  let best: { readonly point: string; readonly type: string } | undefined
  for (const line of mountinfo.split('\n')) {
    const [mount = '', source = ''] = line.split(' - ')
    const point = unescaped(mount.split(' ')[4])
    const type = source.split(' ')[0]
    if (point === undefined || !type || !isWithin(path, point)) continue
    // Of two mounts at one point the later one hides the earlier.
    if (!best || point.length >= best.point.length) best = { point, type }
  }
  return best?.type
}

/** A path on a Windows share: `\\server\share`, but not `\\?\C:\` or `\\.\`. */
export function isWindowsShare(path: string): boolean {
  return /^[\\/]{2}(?![?.][\\/])/.test(path) || /^\\\\\?\\UNC\\/i.test(path)
}

function isWithin(path: string, point: string): boolean {
  return path === point || path.startsWith(point.endsWith('/') ? point : `${point}/`)
}

/** Spaces and the like are written in octal: `\040`. */
function unescaped(text: string | undefined): string | undefined {
  return text?.replaceAll(/\\([0-7]{3})/g, (_, octal: string) => String.fromCodePoint(Number.parseInt(octal, 8)))
}
