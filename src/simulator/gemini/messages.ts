import { many, mapOf, one, value, values, type Message } from './proto-json.ts'

/**
 * The fields of the Gemini API's messages [@google/genai 3.1.0: the types, and what its `…ToMldev` converters send; reference:
 * ai.google.dev/api/generate-content, /api/embeddings, /api/batch-api]. What only Vertex AI knows is left out, as that API refuses it.
 */

const schema: Message = {
  type: 'Schema',
  fields: {
    type: value,
    format: value,
    title: value,
    description: value,
    nullable: value,
    default: value,
    example: value,
    enum: values,
    pattern: value,
    minLength: value,
    maxLength: value,
    minimum: value,
    maximum: value,
    minItems: value,
    maxItems: value,
    minProperties: value,
    maxProperties: value,
    required: values,
    propertyOrdering: values,
    items: one(() => schema),
    anyOf: many(() => schema),
    properties: mapOf(() => schema),
  },
}

const blob: Message = { type: 'Blob', fields: { mimeType: value, data: value, displayName: value } }
const fileData: Message = { type: 'FileData', fields: { mimeType: value, fileUri: value, displayName: value } }

const part: Message = {
  type: 'Part',
  fields: {
    text: value,
    thought: value,
    thoughtSignature: value,
    inlineData: one(() => blob),
    fileData: one(() => fileData),
    functionCall: value,
    functionResponse: value,
    executableCode: value,
    codeExecutionResult: value,
    toolCall: value,
    toolResponse: value,
    videoMetadata: value,
    mediaResolution: value,
    mediaProcessing: value,
    partMetadata: value,
    speechMetadata: value,
    audioTranscription: value,
  },
}

const content: Message = { type: 'Content', fields: { role: value, parts: many(() => part) } }

const functionDeclaration: Message = {
  type: 'FunctionDeclaration',
  fields: {
    name: value,
    description: value,
    behavior: value,
    parameters: one(() => schema),
    parametersJsonSchema: value,
    response: one(() => schema),
    responseJsonSchema: value,
  },
}

const tool: Message = {
  type: 'Tool',
  fields: {
    functionDeclarations: many(() => functionDeclaration),
    googleSearch: value,
    googleSearchRetrieval: value,
    googleMaps: value,
    codeExecution: value,
    computerUse: value,
    urlContext: value,
    fileSearch: value,
    mcpServers: values,
  },
}

const functionCallingConfig: Message = {
  type: 'FunctionCallingConfig',
  fields: { mode: value, allowedFunctionNames: values },
}

const toolConfig: Message = {
  type: 'ToolConfig',
  fields: {
    functionCallingConfig: one(() => functionCallingConfig),
    retrievalConfig: value,
    includeServerSideToolInvocations: value,
  },
}

const safetySetting: Message = { type: 'SafetySetting', fields: { category: value, threshold: value } }

const thinkingConfig: Message = {
  type: 'ThinkingConfig',
  fields: { includeThoughts: value, thinkingBudget: value, thinkingLevel: value },
}

const generationConfig: Message = {
  type: 'GenerationConfig',
  fields: {
    candidateCount: value,
    stopSequences: values,
    maxOutputTokens: value,
    temperature: value,
    topP: value,
    topK: value,
    seed: value,
    presencePenalty: value,
    frequencyPenalty: value,
    responseLogprobs: value,
    logprobs: value,
    responseMimeType: value,
    responseSchema: one(() => schema),
    responseJsonSchema: value,
    responseModalities: values,
    responseFormat: value,
    thinkingConfig: one(() => thinkingConfig),
    speechConfig: value,
    imageConfig: value,
    mediaResolution: value,
    audioTranscriptionConfig: value,
    translationConfig: value,
    enableAffectiveDialog: value,
    enableEnhancedCivicAnswers: value,
  },
}

export const generateContentRequest: Message = {
  type: 'GenerateContentRequest',
  fields: {
    model: value,
    contents: many(() => content),
    systemInstruction: one(() => content),
    tools: many(() => tool),
    toolConfig: one(() => toolConfig),
    safetySettings: many(() => safetySetting),
    generationConfig: one(() => generationConfig),
    cachedContent: value,
    serviceTier: value,
    store: value,
    labels: value,
    continuationToken: value,
  },
}

export const embedContentRequest: Message = {
  type: 'EmbedContentRequest',
  fields: { model: value, content: one(() => content), taskType: value, title: value, outputDimensionality: value },
}

export const batchEmbedContentsRequest: Message = {
  type: 'BatchEmbedContentsRequest',
  fields: { requests: many(() => embedContentRequest) },
}

export const countTokensRequest: Message = {
  type: 'CountTokensRequest',
  fields: { contents: many(() => content), generateContentRequest: one(() => generateContentRequest) },
}

/** What creates a batch of such requests. */
export function createRequest(batchType: 'GenerateContentBatch' | 'EmbedContentBatch', request: Message): Message {
  const inlinedRequest: Message = {
    type: 'InlinedRequest',
    fields: { request: one(() => request), metadata: value },
  }
  const inlinedRequests: Message = { type: 'InlinedRequests', fields: { requests: many(() => inlinedRequest) } }
  const inputConfig: Message = {
    type: 'InputConfig',
    fields: { fileName: value, requests: one(() => inlinedRequests) },
  }
  const batch: Message = {
    type: batchType,
    fields: {
      model: value,
      name: value,
      displayName: value,
      inputConfig: one(() => inputConfig),
      priority: value,
      webhookConfig: value,
      // Output only: accepted and ignored, as everywhere in Google's APIs.
      output: value,
      createTime: value,
      updateTime: value,
      endTime: value,
      batchStats: value,
      state: value,
    },
  }
  return { type: `Create${batchType}Request`, fields: { batch: one(() => batch) } }
}
