import type { Reply } from '../core/reply.ts'
import type { CapturedRequest, PassReason, RequestHead, Target } from '../core/request.ts'

/** What interception is given. It never learns that a manager exists. */
export interface Batcher {
  /** Cheap, called before any body is read. undefined: not batchable, let it through. */
  match(head: RequestHead): Target | undefined
  /** undefined: let it through; the batcher has already told why. */
  submit(request: CapturedRequest): Promise<Reply> | undefined
  /** A matched call that goes to the provider at full price. */
  passedThrough(target: Target, reason: PassReason, detail: string): void
  /** What the caller of such a call gets so that it does not go to the provider; undefined, or absent: it goes. Asked first. */
  instead?(target: Target, reason: PassReason, detail: string): Reply | undefined
}
