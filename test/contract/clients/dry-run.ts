import { channel } from 'node:diagnostics_channel'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { DryRunReport } from '../../../src/index.ts'
import { adapters } from '../../../src/providers/registry.ts'
import { type Calls, type Client, Place, WEATHER, Word } from '../../support/matrix/client.ts'
import type { Column } from '../../support/matrix/columns.ts'
import { titleOf } from '../../support/matrix/render.ts'

type Name = keyof Calls

const COLUMNS: Readonly<Record<Name, Column>> = {
  plain: 'plain answer',
  tools: 'system + tools',
  schema: 'JSON schema',
  embeddings: 'embeddings',
  image: 'image',
}
const NAMES: readonly Name[] = ['plain', 'tools', 'schema', 'embeddings', 'image']

/** The SDKs for these are given the version with the base URL. */
const VERSIONED = new Set(['openai', 'together', 'doubleword', 'xai'])

interface Asked {
  readonly client: Client
  readonly name: Name
}

/** In a dry run every call of these clients is answered, with what the client accepts, and nothing is sent. To be called once in a file. */
export function describeDryRun(clients: readonly Client[]): void {
  const asked = clients.flatMap((client) =>
    NAMES.filter((name) => isBatched(client, name)).map((name) => ({ client, name })),
  )
  const gists = new Map<Asked, PromiseSettledResult<unknown>>()
  let report: DryRunReport | undefined
  let sent = 0
  const onSent = (): void => void (sent += 1)

  beforeAll(async () => {
    // Loaded as late as this, because others in the file build their clients before.
    const { batchify } = await import('../../../src/index.ts')
    channel('undici:request:create').subscribe(onSent)
    const baseUrls = Object.fromEntries(adapters.map(({ name }) => [name, [host(name), `${host(name)}/v1`]]))
    await Promise.resolve()
    const scope = batchify({ dryRun: true, display: 'off', store: '/nowhere/store.db', baseUrls })
    await scope.run(async () => {
      const settled = await Promise.allSettled(asked.map((each) => ask(each)))
      for (const [index, result] of settled.entries()) if (asked[index]) gists.set(asked[index], result)
    })
    await scope.close()
    report = scope.report().dryRun
  }, 60_000)
  afterAll(() => {
    channel('undici:request:create').unsubscribe(onSent)
  })

  describe('a stub satisfies', () => {
    it.for(asked.map((each) => [titleOf(each.client), each.name, each] as const))('%s: %s', ([, name, each]) => {
      const result = gists.get(each)

      expect(result).toMatchObject({ status: 'fulfilled' })
      expect(result?.status === 'fulfilled' && toldBy(name, result.value)).toEqual(EXPECTED[name])
    })
  })

  it('is given to every call, and none is sent', () => {
    expect(report?.totals).toMatchObject({ requests: asked.length, cached: 0, joined: 0 })
    expect(report?.wouldPassThrough).toEqual([])
    expect(new Set(report?.groups.map(({ provider }) => provider))).toEqual(
      new Set(clients.map(({ provider }) => provider)),
    )
    expect(sent).toBe(0)
  })
}

/** A host that no look-up finds: whatever is sent there fails. */
function host(provider: string): string {
  return `http://${provider}.invalid`
}

/** Calls that go past a scope live would go past a dry run. */
function isBatched({ but }: Client, name: Name): boolean {
  const says = but?.[COLUMNS[name]]?.says
  return says === undefined || says === 'yes'
}

async function ask({ client, name }: Asked): Promise<unknown> {
  const version = VERSIONED.has(client.provider) ? '/v1' : ''
  const baseUrl = host(client.provider) + version + (client.path ?? '')
  const calls = client.connect({ baseUrl, apiKey: 'key', maxRetries: 0 })
  const answer = await calls[name]?.('What is it?')
  return answer?.gist
}

const EXPECTED: Readonly<Record<Name, unknown>> = {
  plain: 'dry run',
  image: 'dry run',
  tools: 'dry run',
  schema: 'dry run',
  // A vector of length 1.
  embeddings: 1,
}

function toldBy(name: Name, gist: unknown): unknown {
  if (name === 'schema') return Word.parse(gist).word
  if (name === 'embeddings') return Array.isArray(gist) ? Math.hypot(...gist.map(Number)) : gist
  if (name !== 'tools') return gist
  const { name: called, input } = Object(gist) as { name?: unknown; input?: unknown } // whatever it is, nothing is lost on it
  return called === WEATHER ? Place.parse(input).place : gist
}
