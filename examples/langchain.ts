/*
 * LangChain.js: a chain run over many inputs, at batch price.
 *
 *   OPENAI_API_KEY=sk-… node examples/langchain.ts
 *
 * (See openai-chat.ts for running without a key.)
 */
import { StringOutputParser } from '@langchain/core/output_parsers'
import { ChatPromptTemplate } from '@langchain/core/prompts'
import { ChatOpenAI } from '@langchain/openai'
import { batchify } from 'offpeak'

const chain = ChatPromptTemplate.fromTemplate('Translate to French: {text}')
  .pipe(new ChatOpenAI({ model: 'gpt-4o-mini' }))
  .pipe(new StringOutputParser())
const texts = ['good morning', 'the train is late', 'where is the library?']

const translations = await batchify(() => chain.batch(texts.map((text) => ({ text }))))

for (const [index, text] of texts.entries()) console.log(`${text} → ${translations[index]}`)
