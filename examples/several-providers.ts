/*
 * Three providers in one scope, each through its own SDK: each gets its own batch, and each promise its own answer.
 *
 *   OPENAI_API_KEY=sk-… ANTHROPIC_API_KEY=sk-ant-… GEMINI_API_KEY=… node examples/several-providers.ts
 *
 * Without keys: `npx offpeak simulate` in another terminal prints the base URLs and keys to set.
 */
import Anthropic from '@anthropic-ai/sdk'
import { GoogleGenAI } from '@google/genai'
import { batchify } from 'offpeak'
import OpenAI from 'openai'

const openai = new OpenAI()
const anthropic = new Anthropic()
const gemini = new GoogleGenAI({ apiKey: process.env['GEMINI_API_KEY'] ?? '' })

const questions = ['Is a tomato a fruit?', 'Is a strawberry a berry?']

const opinions = await batchify(() =>
  Promise.all(
    questions.map((question) => Promise.all([askOpenAI(question), askClaude(question), askGemini(question)])),
  ),
)

for (const [index, question] of questions.entries()) {
  const [gpt, claude, flash] = opinions[index] ?? []
  console.log(`${question}\n  gpt: ${gpt}\n  claude: ${claude}\n  gemini: ${flash}`)
}

async function askOpenAI(input: string): Promise<string> {
  const response = await openai.responses.create({ model: 'gpt-5-mini', input })
  return response.output_text
}

async function askClaude(content: string): Promise<string> {
  const message = await anthropic.messages.create({
    model: 'claude-haiku-4-5',
    max_tokens: 200,
    messages: [{ role: 'user', content }],
  })
  return message.content.map((block) => (block.type === 'text' ? block.text : '')).join('')
}

async function askGemini(contents: string): Promise<string | undefined> {
  const response = await gemini.models.generateContent({ model: 'gemini-2.5-flash', contents })
  return response.text
}
