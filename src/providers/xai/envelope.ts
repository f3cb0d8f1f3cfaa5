/** xAI's errors have no envelope of their own: a code in words and a message (https://docs.x.ai/developers/debugging, @ai-sdk/xai 5.0). */
export function envelope({ code, message }: { readonly code: string; readonly message: string }): string {
  return JSON.stringify({ code, error: message })
}
