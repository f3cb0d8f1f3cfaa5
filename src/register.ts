import './check-node.ts'
import { isMainThread } from 'node:worker_threads'
import { batchProcess } from './batch-process.ts'
import { install } from './intercept/install.ts'

/*
 * `node --import offpeak/register app.js`: every call the program makes to a provider is batched. Options come as JSON in OFFPEAK_OPTIONS.
 * Worker threads and child processes inherit the flag; they stay as they are unless OFFPEAK_CHILDREN is set.
 */

install()

const { env, pid } = process
const isFirst = isMainThread && (env.OFFPEAK_ROOT_PID === undefined || env.OFFPEAK_ROOT_PID === String(pid))
if (isFirst) env.OFFPEAK_ROOT_PID = String(pid)

if (isFirst) batchProcess(env.OFFPEAK_OPTIONS, true, env.OFFPEAK_REPORT)
else if (env.OFFPEAK_CHILDREN === '1') batchProcess(env.OFFPEAK_OPTIONS, false)
