import { randomUUID } from 'node:crypto'
import type { Json, JsonObject } from '../../core/request.ts'
import { inlineInput } from '../batches/inline.ts'
import type { Endpoint } from '../endpoint.ts'
import type { StoredFile } from '../file-store.ts'
import { isObject } from '../json.ts'
import { readBlocks } from '../lines.ts'
import { readText, type Account, type Exchange, type World } from '../provider.ts'
import type { Endpoints } from './endpoints.ts'
import { refuse, refuseDetail } from './envelope.ts'
import { asObject } from './live.ts'

/** What a job was created with, as far as it is not in its rows. */
export interface JobOrder {
  readonly endpoint: Endpoint
  readonly model: string | undefined
  readonly agentId: string | null
  readonly metadata: Readonly<Record<string, string>> | null
  readonly timeoutHours: number
  /** Whether its rows came with the create. */
  readonly inline: boolean
  readonly inputFiles: readonly string[]
  readonly input: StoredFile
}

/** `CreateBatchJobRequest` of the SDK 2.7. */
const FIELDS = new Set(['agent_id', 'endpoint', 'input_files', 'metadata', 'model', 'requests', 'timeout_hours'])
/** "Fewer than 10,000" (batch guide). */
const INLINE_BELOW = 10_000
const MAX_BYTES = 512 * 1024 * 1024
const DEFAULT_HOURS = 24
const HOURS_BELOW = 168

/** What can be refused before any row is read. */
export async function readOrder(world: World, endpoints: Endpoints, exchange: Exchange): Promise<JobOrder> {
  const text = await readText(exchange.body)
  const limit = world.limits.bytes ?? MAX_BYTES
  if (Buffer.byteLength(text) > limit) return refuse(413, `The request is larger than ${limit} bytes.`)
  const body = asObject(text)
  const unknown = Object.keys(body).find((name) => !FIELDS.has(name))
  if (unknown !== undefined) return wrong(unknown, 'Extra inputs are not permitted', body[unknown], 'extra_forbidden')
  const { endpoint: path, model, agent_id: agentId } = body
  if (path === undefined) return wrong('endpoint', 'Field required', undefined, 'missing')
  const endpoint = typeof path === 'string' ? endpoints.get(path) : undefined
  if (!endpoint) return wrong('endpoint', `Input should be one of ${[...endpoints.keys()].join(', ')}`, path)
  const order = {
    endpoint,
    model: typeof model === 'string' ? model : undefined,
    agentId: typeof agentId === 'string' ? agentId : null,
    metadata: metadataOf(body),
    timeoutHours: hoursOf(body),
  }
  return { ...order, ...(await inputOf(world, exchange.account, body)) }
}

function metadataOf({ metadata }: JsonObject): Readonly<Record<string, string>> | null {
  if (metadata === undefined || metadata === null) return null
  if (!isObject(metadata)) return wrong('metadata', 'Input should be a valid dictionary', metadata)
  return Object.fromEntries(
    Object.entries(metadata).map(([key, value]) => [
      key,
      typeof value === 'string' ? value : wrong('metadata', 'Input should be a valid string', value),
    ]),
  )
}

function hoursOf({ timeout_hours: hours = DEFAULT_HOURS }: JsonObject): number {
  if (typeof hours === 'number' && Number.isInteger(hours) && hours >= 1 && hours < HOURS_BELOW) return hours
  return wrong('timeout_hours', `Input should be an integer from 1 to ${HOURS_BELOW - 1}`, hours)
}

async function inputOf(
  world: World,
  account: Account,
  { requests, input_files: files }: JsonObject,
): Promise<Pick<JobOrder, 'inline' | 'inputFiles' | 'input'>> {
  if (Array.isArray(requests) === Array.isArray(files)) {
    return wrong('requests', 'Either requests or input_files must be given', undefined)
  }
  if (!Array.isArray(requests)) return fileInput(world, account, Array.isArray(files) ? files : [])
  if (requests.length === 0) return wrong('requests', 'List should have at least 1 item after validation', requests)
  if (requests.length >= INLINE_BELOW) return wrong('requests', `List should have fewer than ${INLINE_BELOW} items`)
  const place = requests.findIndex((request: Json) => !isObject(request) || !isObject(request['body']))
  if (place !== -1)
    return refuseDetail({ type: 'missing', loc: ['body', 'requests', place, 'body'], msg: 'Field required' })
  const lines = requests.map((request: Json) => JSON.stringify(request))
  const shown = { id: randomUUID(), purpose: 'batch' }
  return { inline: true, inputFiles: [shown.id], input: await inlineInput(world, account, lines, shown) }
}

async function fileInput(
  world: World,
  account: Account,
  ids: readonly Json[],
): Promise<Pick<JobOrder, 'inline' | 'inputFiles' | 'input'>> {
  const files: StoredFile[] = []
  for (const id of ids) {
    const file = typeof id === 'string' ? world.files.get(account.hash, id) : undefined
    if (!file) return refuse(404, 'File not found')
    if (file.purpose !== 'batch') return wrong('input_files', `The file ${file.id} is not for batches`)
    const limit = world.limits.bytes ?? MAX_BYTES
    if ((await file.bytes()) > limit) return wrong('input_files', `The file ${file.id} is larger than ${limit} bytes`)
    files.push(file)
  }
  const [first, ...others] = files
  if (!first) return wrong('input_files', 'List should have at least 1 item after validation')
  const input = others.length === 0 ? first : await joined(world, account, files)
  return { inline: false, inputFiles: files.map(({ id }) => id), input }
}

/** Several files are one input. */
async function joined(world: World, account: Account, files: readonly StoredFile[]): Promise<StoredFile> {
  const lines: string[] = []
  for (const { path } of files) for await (const block of readBlocks(path)) lines.push(...block.lines)
  return inlineInput(world, account, lines)
}

function wrong(name: string, msg: string, input?: Json, type = 'value_error'): never {
  return refuseDetail({ type, loc: ['body', name], msg, input })
}
