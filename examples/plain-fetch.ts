/*
 * No SDK at all: the fetch you have, and the Response you would have got.
 *
 *   OPENAI_API_KEY=sk-… node examples/plain-fetch.ts
 *
 * (See openai-chat.ts for running without a key.)
 */
import { batchify } from 'offpeak'

const { OPENAI_API_KEY: key, OPENAI_BASE_URL: baseUrl = 'https://api.openai.com/v1' } = process.env
const comments = ['Have a nice day!', 'I will find you.', 'The meeting is at noon.']

await batchify(async () => {
  const responses = await Promise.all(comments.map(moderate))
  for (const [index, response] of responses.entries()) {
    const { results } = (await response.json()) as { results: { flagged: boolean }[] }
    console.log(
      `${results[0]?.flagged ? 'flagged' : 'fine'}: ${comments[index]} (${response.headers.get('x-offpeak-batch')})`,
    )
  }
})

function moderate(input: string): Promise<Response> {
  return fetch(`${baseUrl}/moderations`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'omni-moderation-latest', input }),
  })
}
