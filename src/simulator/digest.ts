/** 64 bits that tell one row from another: not cryptographic, but cheap enough for millions of rows. */
export interface Digest {
  readonly high: number
  readonly low: number
}

/** Two multiplicative hashes over the same characters, mixed into each other at the end. */
export function digestText(text: string, seed = 0): Digest {
  let high = 0xdeadbeef ^ seed
  let low = 0x41c6ce57 ^ seed
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index)
    high = Math.imul(high ^ code, 0x9e3779b1)
    low = Math.imul(low ^ code, 0x5f356495)
  }
  high = Math.imul(high ^ (high >>> 16), 0x85ebca6b) ^ Math.imul(low ^ (low >>> 13), 0xc2b2ae35)
  low = Math.imul(low ^ (low >>> 16), 0x85ebca6b) ^ Math.imul(high ^ (high >>> 13), 0xc2b2ae35)
  return { high: high >>> 0, low: low >>> 0 }
}

export function digestHex({ high, low }: Digest): string {
  return high.toString(16).padStart(8, '0') + low.toString(16).padStart(8, '0')
}

/** The digest an answer quotes, for a program that wants to check that each of its callers got its own. */
export function answerDigest(endpoint: string, body: unknown): string {
  return digestHex(requestDigest(endpoint, body))
}

/** What identifies a request wherever it is executed, live or in a batch: its endpoint and its body. */
export function requestDigest(endpoint: string, body: unknown): Digest {
  return digestText(`${endpoint}\0${JSON.stringify(body)}`)
}
