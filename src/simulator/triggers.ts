/**
 * How a request asks for its own fate: the first `[[simulate:…]]` anywhere in its body, live or in a batch row.
 *
 * - `[[simulate:429]]` (400 to 599): answered with that status
 * - `[[simulate:missing]]`: executed, but its row is left out of the results
 * - `[[simulate:corrupt]]`: executed, but its row is not JSON
 * - `[[simulate:duplicate]]`: its row appears twice
 * - `[[simulate:unexecuted]]`: never executed; its row says that the batch expired
 * - `[[simulate:invalid]]`: the whole batch is refused because of this line
 * - `[[simulate:tool]]`: answered with a call of the first tool given
 *
 * What only makes sense in a batch is ignored in a live call (`invalid` is a 400 there).
 */
export type Trigger =
  | { readonly kind: 'status'; readonly status: number }
  | { readonly kind: 'missing' | 'corrupt' | 'duplicate' | 'unexecuted' | 'invalid' | 'tool' }

const OPENING = '[[simulate:'

export function findTrigger(text: string): Trigger | undefined {
  const at = text.indexOf(OPENING)
  if (at === -1) return undefined
  const word = /^([a-z0-9]+)\]\]/.exec(text.slice(at + OPENING.length, at + OPENING.length + 20))?.[1]
  switch (word) {
    case 'missing':
    case 'corrupt':
    case 'duplicate':
    case 'unexecuted':
    case 'invalid':
    case 'tool':
      return { kind: word }
    case undefined:
    default: {
      const status = Number(word)
      return status >= 400 && status <= 599 ? { kind: 'status', status } : undefined
    }
  }
}
