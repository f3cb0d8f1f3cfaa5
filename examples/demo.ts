/*
 * `npm run demo`: an ordinary program on the official OpenAI SDK, its calls batched, against the built-in simulator. No key, no network.
 * Run it twice: the second run is answered from the store.
 */
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import OpenAI from 'openai'
import { batchify } from 'offpeak'
import { spawnSimulator } from 'offpeak/simulator'

/** Answers belong to where they came from, so the simulator comes back to the same port if it can. */
const PORT = 9911
const FOLDER = fileURLToPath(new URL('../.offpeak/demo', import.meta.url))
const STORE = `${FOLDER}/store.db`
/** Stands while a run is under way. */
const UNFINISHED = `${FOLDER}/unfinished`
const TOPICS = [
  'late parcel',
  'broken zip',
  'wrong size',
  'double charge',
  'lost password',
  'gift card',
  'refund',
  'new address',
]

startAfreshIfInterrupted()
const simulator = await startSimulator()
const baseURL = simulator.baseUrl('openai')

// ── the program: nothing in it knows about batches ──

const openai = new OpenAI({ apiKey: 'sk-demo', baseURL })

const tickets = Array.from({ length: 120 }, (_, n) => `Ticket ${n + 1}: ${TOPICS[n % TOPICS.length]}`)

async function classify(ticket: string): Promise<string> {
  const completion = await openai.chat.completions.create({
    model: 'gpt-4o-mini',
    messages: [
      { role: 'system', content: 'Answer with one word: billing, delivery, product or account.' },
      { role: 'user', content: ticket },
    ],
  })
  return completion.choices[0]?.message.content ?? ''
}

async function draftReply(ticket: string): Promise<string> {
  const response = await openai.responses.create({ model: 'gpt-4o-mini', input: `Write a kind reply to: ${ticket}` })
  return response.output_text
}

async function embed(ticket: string): Promise<readonly number[]> {
  const { data } = await openai.embeddings.create({ model: 'text-embedding-3-small', input: ticket })
  return data[0]?.embedding ?? []
}

// ── the one change: its calls are made inside batchify() ──

const batch = batchify({ store: STORE, baseUrls: { openai: [baseURL] }, batchWindowMs: 500, pollIntervalMs: 400 })

const [labels, replies, vectors] = await batch.run(() =>
  Promise.all([
    Promise.all(tickets.map(classify)),
    Promise.all(tickets.slice(0, 60).map(draftReply)),
    Promise.all(tickets.slice(0, 60).map(embed)),
  ]),
)
await batch.close()
await simulator.close()
rmSync(UNFINISHED)

// ── what came back ──

const ownAnswers = labels.filter((label, n) => label.includes(tickets[n] ?? '?')).length
const { requests, batches, costUsd, liveCostUsd, savedUsd } = batch.report()

console.log(`${labels.length} tickets classified, each with its own answer: ${ownAnswers}`)
console.log(`${replies.length} replies drafted, the first: ${replies[0]}`)
console.log(`${vectors.length} embeddings of ${vectors[0]?.length} dimensions`)
if (requests.cached === requests.total) {
  console.log(`all ${requests.total} from the store of an earlier run: nothing sent, nothing paid`)
} else {
  console.log(
    `${requests.total} requests in ${batches} batches: $${costUsd?.toFixed(6)} instead of $${liveCostUsd?.toFixed(6)}, saved $${savedUsd?.toFixed(6)}`,
  )
}
console.log(`store: ${STORE}`)

if (ownAnswers !== tickets.length) process.exitCode = 1

async function startSimulator(): ReturnType<typeof spawnSimulator> {
  try {
    return await spawnSimulator({ port: PORT, batchMs: 3000 })
  } catch {
    console.error(`Port ${PORT} is taken, so answers of earlier runs are not found again this time.`)
    return await spawnSimulator({ batchMs: 3000 })
  }
}

/** A real provider goes on with batches while nobody looks; the simulator forgot those of an interrupted run when it ended with it. */
function startAfreshIfInterrupted(): void {
  if (existsSync(UNFINISHED)) {
    console.error('The last demo was interrupted, and its simulator with it: starting afresh.')
    rmSync(FOLDER, { recursive: true })
  }
  mkdirSync(FOLDER, { recursive: true, mode: 0o700 })
  writeFileSync(UNFINISHED, '')
}
