/** As protocol buffers write a time: no fraction when there is none. */
export function timestamp(ms: number): string {
  return new Date(ms).toISOString().replace('.000Z', 'Z')
}
