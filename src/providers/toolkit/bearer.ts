import type { ProviderAdapter } from '../../core/adapter.ts'

/** A key in `Authorization: Bearer`, which its SDK reads from this environment variable. */
export function bearer(env: string): ProviderAdapter['credentials'] {
  return {
    headers: ['authorization'],
    env,
    fromEnvironment(values) {
      const key = values[env]?.trim()
      return key ? [['authorization', `Bearer ${key}`]] : undefined
    },
  }
}
