import type { Client } from './client.ts'
import { openaiFrameworkClients, openaiSdkClients } from './clients/openai.ts'

/** The providers' own SDKs, and what people do without any framework. */
export const sdkClients: readonly Client[] = [...openaiSdkClients]

/** The AI SDK and LangChain.js, with each of their provider packages. */
export const frameworkClients: readonly Client[] = [...openaiFrameworkClients]
