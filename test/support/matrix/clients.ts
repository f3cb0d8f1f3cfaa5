import type { Client } from './client.ts'
import { anthropicFrameworkClients, anthropicSdkClients } from './clients/anthropic.ts'
import { doublewordSdkClients } from './clients/doubleword.ts'
import { geminiFrameworkClients, geminiSdkClients } from './clients/gemini.ts'
import { groqFrameworkClients, groqSdkClients } from './clients/groq.ts'
import { mistralFrameworkClients, mistralSdkClients } from './clients/mistral.ts'
import { openaiFrameworkClients, openaiSdkClients } from './clients/openai.ts'
import { togetherFrameworkClients, togetherSdkClients } from './clients/together.ts'
import { xaiFrameworkClients, xaiSdkClients } from './clients/xai.ts'

/** The providers' own SDKs, and what people do without any framework. */
export const sdkClients: readonly Client[] = [
  ...openaiSdkClients,
  ...anthropicSdkClients,
  ...geminiSdkClients,
  ...groqSdkClients,
  ...mistralSdkClients,
  ...togetherSdkClients,
  ...doublewordSdkClients,
  ...xaiSdkClients,
]

/** The AI SDK and LangChain.js, with each of their provider packages. */
export const frameworkClients: readonly Client[] = [
  ...openaiFrameworkClients,
  ...anthropicFrameworkClients,
  ...geminiFrameworkClients,
  ...groqFrameworkClients,
  ...mistralFrameworkClients,
  ...togetherFrameworkClients,
  ...xaiFrameworkClients,
]
