// Takes nothing but a list for an answer, and asks on by it.
import OpenAI from 'openai'

const client = new OpenAI({ apiKey: 'sk-test' })

async function list(input: string): Promise<unknown> {
  const { output_text: text } = await client.responses.create({ model: 'gpt-5', input })
  return JSON.parse(text)
}

const questions = await list('What is there to ask?')
console.log(await Promise.all([questions].flat().map((question) => list(String(question)))))
