import OpenAI from 'openai'

const client = new OpenAI({ apiKey: 'sk-test' })

async function ask(content: string): Promise<string | null | undefined> {
  const completion = await client.chat.completions.create({
    model: 'gpt-4o-mini',
    messages: [{ role: 'user', content }],
  })
  return completion.choices[0]?.message.content
}

export async function greet(name: string, options?: object): Promise<void> {
  console.log(JSON.stringify([name, options, await ask(`greet ${name}`)]))
}

export function hasty(): number {
  void ask('nobody waits for this')
  return 3
}

if (import.meta.main || process.argv[2] === 'main') {
  console.log(JSON.stringify([process.argv.slice(2), await ask('one'), await ask('two')]))
}
