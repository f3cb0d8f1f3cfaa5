import { createHash } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'
import type { Account, Reply } from '../provider.ts'

/** A key that its provider would not know begins with this. */
export const UNKNOWN_KEY = 'sk-invalid'

export interface KeyRules {
  readonly provider: string
  /** Headers beside the key that decide who is billed. */
  readonly headers: readonly string[]
  /** For messages. */
  organization(headers: IncomingHttpHeaders): string
  missing(): Reply
  unknown(): Reply
}

/** Whoever brings a Bearer key, and which account that is. */
export function bearerAccount(headers: IncomingHttpHeaders, rules: KeyRules): Account | Reply {
  const key = /^Bearer\s+(\S+)$/i.exec(headers.authorization ?? '')?.[1]
  if (key === undefined) return rules.missing()
  if (key.startsWith(UNKNOWN_KEY)) return rules.unknown()
  const parts = rules.headers.map((name) => String(headers[name] ?? ''))
  const hash = accountHash(rules.provider, key, ...parts)
  return { provider: rules.provider, hash, organization: rules.organization(headers) }
}

/** The provider is part of it: one key may be known to several of them, and none sees what is another's. */
export function accountHash(provider: string, key: string, ...parts: readonly string[]): string {
  return createHash('sha256')
    .update([provider, key, ...parts].join('\0'))
    .digest('hex')
    .slice(0, 12)
}
