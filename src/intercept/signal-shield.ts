/** The signal a request really has, past the shield. */
export function signalOf(request: Request): AbortSignal {
  return request.signal
}
