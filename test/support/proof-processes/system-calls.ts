import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'

/** Not everywhere, and no dependency of ours. */
const TRACER = 'strace'

/** Whether this machine has strace and lets it trace. */
export function canTrace(): boolean {
  return spawnSync(TRACER, ['-o', '/dev/null', 'true']).status === 0
}

/** What to run a process under to have its writes and syncs in a file. */
export function tracing(log: string): readonly string[] {
  const calls = 'trace=pwrite64,pwritev,write,writev,sendto,sendmsg,fsync,fdatasync'
  return [TRACER, '-f', '-y', '-s', '40', '-e', 'signal=none', '-e', calls, '-o', log]
}

const CALL = /^(?<thread>\d+) +(?<call>\w+)\(\d+<(?<file>[^>]*)>(?<rest>.*)/

/** For each create that left, in order, whether the write-ahead log had been synced since its last write. */
export function createsInTrace(log: string): readonly ('synced' | 'unsynced')[] {
  const creates: ('synced' | 'unsynced')[] = []
  let isDirty = false
  for (const line of readFileSync(log, 'utf8').split('\n')) {
    const { call = '', file = '', rest = '' } = CALL.exec(line)?.groups ?? {}
    const isLog = file.endsWith('-wal')
    if (isLog && call.startsWith('pwrite')) isDirty = true
    else if (isLog && call.endsWith('sync')) isDirty = false
    else if (file.startsWith('socket:') && rest.includes('POST /v1/batches HTTP'))
      creates.push(isDirty ? 'unsynced' : 'synced')
  }
  return creates
}
