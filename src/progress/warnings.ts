import type { EventOf, OffpeakEvent } from '../core/events.ts'
import { formatPlural } from './format.ts'
import { printable } from './width.ts'

/** Something the user should know; said once per `key` and scope. */
export interface Warning {
  readonly key: string
  readonly text: string
}

/** What an event gives reason to warn about: what happened, what it costs, what to do. undefined for most. */
export function warningOf(event: OffpeakEvent): Warning | undefined {
  if (event.type === 'request-passed-through') return passThroughWarning(event)
  if (event.type === 'batch-failed' && !event.willRetry) {
    return { key: `batch-failed ${event.reason}`, text: failedText(event) }
  }
  if (event.type === 'rows-missing') return { key: 'rows-missing', text: missingText(event) }
  if (event.type === 'request-requeued' && event.possiblyBilled) {
    return { key: 'possibly-billed', text: twiceText(event) }
  }
  return undefined
}

function twiceText(event: EventOf<'request-requeued'>): string {
  return `${printable(event.provider)} gave no answer to a request it may have run (${printable(event.reason)}), so it is sent once more. It may be billed twice, at batch price.`
}

function failedText(event: EventOf<'batch-failed'>): string {
  const what = event.id === undefined ? 'refused a batch' : `failed batch ${printable(event.id)}`
  return `${printable(event.provider)} ${what} of ${formatPlural(event.jobs, 'request', 'requests')}: ${printable(event.reason)}. Nothing in it was run or billed; each caller gets the reason.`
}

function missingText(event: EventOf<'rows-missing'>): string {
  const batch = event.id === undefined ? 'a batch' : printable(event.id)
  return `The results of ${batch} lack ${formatPlural(event.missing, 'row', 'rows')}. They are read again; what stays missing is sent once more, and may then be billed twice, at batch price.`
}

/** A call at full price is never silent. `detail` is the interceptor's own, and never part of a prompt. */
export function passThroughWarning(event: EventOf<'request-passed-through'>): Warning {
  const call = `A call to ${printable(event.provider)} ${printable(event.endpoint)}`
  const detail = printable(event.detail)
  const because = detail === '' ? '' : ` (${detail})`
  const { reason } = event
  switch (reason) {
    case 'streaming':
      return {
        key: reason,
        text: `${call} streams its answer, which no batch can do: it went straight through, at full price. To batch it, leave out \`stream: true\`.`,
      }
    case 'not-json':
      return {
        key: reason,
        text: `${call} does not carry JSON${because}: it went straight through, at full price. Only JSON requests can ride a batch; uploads and forms cannot.`,
      }
    case 'unreadable-body':
      return {
        key: reason,
        text: `The body of a call to ${printable(event.provider)} ${printable(event.endpoint)} could not be read${because}: it went straight through, at full price. To batch it, send its JSON as a string or as bytes.`,
      }
    case 'outside-scope':
      return {
        key: reason,
        text: `${call} was made outside batchify() while a scope was open elsewhere${because}: it went straight through, at full price. Make the call inside, use the scope's own \`fetch\`, or set \`scope: 'process'\`.`,
      }
    case 'not-admitted':
      return {
        key: `${reason} ${detail}`,
        text: `${call} cannot ride a batch${detail === '' ? '' : `: ${detail}`}. It went straight through, at full price. To batch it, change that part of the request.`,
      }
    case 'scope-closed':
      return {
        key: reason,
        text: `${call} came after its scope had closed: it went straight through, at full price. Await the call before the scope ends, or open a new one.`,
      }
    case 'disabled':
      return {
        key: reason,
        text: `${call} went straight through, at full price, because OFFPEAK_DISABLE is set. Unset it to batch again.`,
      }
  }
}
