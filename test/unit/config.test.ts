import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { type Config, parseConfig } from '../../src/config.ts'
import { OffpeakError } from '../../src/core/errors.ts'
import { openai } from '../../src/providers/openai.ts'
import { openMemoryStore } from '../../src/store/memory-store.ts'

type Environment = Readonly<Record<string, string>>

/** With options as a program without types would give them. */
function config(options: object = {}, env: Environment = {}): Config {
  return parseConfig(options, { OFFPEAK_HOME: '/state', ...env }, [openai], 'linux')
}

/** The message of the refusal. */
function refusal(options: object, env: Environment = {}): string {
  try {
    config(options, env)
  } catch (error) {
    if (error instanceof OffpeakError && error.code === 'invalid-options') return error.message
    throw error
  }
  return 'accepted'
}

test('nothing said means the defaults of the option table', () => {
  expect(config()).toEqual({
    dryRun: false,
    batchSize: 1000,
    batchWindowMs: 2000,
    pollIntervalMs: undefined,
    maxPollIntervalMs: 60_000,
    completionWindow: '24h',
    adapters: [openai],
    cache: true,
    retentionMs: 30 * 86_400_000,
    store: join('/state', 'store.db'),
    metadata: {},
    baseUrls: {},
    scope: 'context',
    timeouts: 'ignore',
    display: 'auto',
    cancelOnAbort: false,
    settleMs: 180_000,
    leaseMs: 30_000,
    onAmbiguous: 'wait',
    deferAfterMs: undefined,
    maxCostUsd: undefined,
    allowUnpriced: false,
    maxBatchesInFlight: undefined,
    timeLimitMs: undefined,
    disabled: false,
  })
})

test('undefined is nothing said', () => {
  const options = Object.fromEntries(Object.keys(config()).map((name) => [name, undefined]))
  const { retentionMs: _, deferAfterMs: __, disabled: ___, adapters: ____, ...said } = options

  expect(config(said)).toEqual(config())
})

describe('an unknown option', () => {
  test.each([
    ['batchsize', 'batchSize'],
    ['batchSzie', 'batchSize'],
    ['batch_size', 'batchSize'],
    ['poll', 'pollIntervalMs'],
    ['pollInterval', 'pollIntervalMs'],
    ['baseURL', 'baseUrls'],
    ['cached', 'cache'],
    ['completion_window', 'completionWindow'],
    ['metaData', 'metadata'],
    ['cancelOnabort', 'cancelOnAbort'],
  ])('%s is refused, and %s is suggested', (name, nearest) => {
    expect(refusal({ [name]: 1 })).toBe(`offpeak: unknown option "${name}"; did you mean "${nearest}"?`)
  })

  test('like nothing known is refused with the list of those that are', () => {
    expect(refusal({ xyzzy: 1 })).toMatch(/unknown option "xyzzy"; known are batchSize, batchWindowMs, .*onAmbiguous/)
  })

  test('is named together with every other that is wrong', () => {
    const text = refusal({ batchSise: 1, leaseMs: -1 })

    expect(text).toContain('"batchSise"')
    expect(text).toContain('"leaseMs"')
  })

  test('inside another is refused as well', () => {
    expect(refusal({ cache: { retention: 3 } })).toContain('cache')
  })
})

describe('a wrong value', () => {
  test.each([
    ['batchSize', 0],
    ['batchSize', 1.5],
    ['batchSize', '100'],
    ['batchSize', Number.NaN],
    ['batchSize', Number.POSITIVE_INFINITY],
    ['batchWindowMs', -1],
    ['batchWindowMs', null],
    ['pollIntervalMs', 0],
    ['maxPollIntervalMs', 0],
    ['settleMs', -1],
    ['leaseMs', 0],
    ['completionWindow', 24],
    ['cache', 'yes'],
    ['cache', { retentionDays: -1 }],
    ['store', ''],
    ['store', 7],
    ['store', {}],
    ['metadata', { team: 7 }],
    ['metadata', 'team'],
    ['baseUrls', { openai: 'https://x.test' }],
    ['scope', 'thread'],
    ['timeouts', true],
    ['display', 'loud'],
    ['cancelOnAbort', 1],
    ['onAmbiguous', 'retry'],
    ['deferred', 60],
  ])('%s: %o is refused by name', (name, value) => {
    expect(refusal({ [name]: value })).toContain(`option "${name}`)
  })

  test('of a poll interval above its maximum is refused', () => {
    expect(refusal({ pollIntervalMs: 500, maxPollIntervalMs: 100 })).toBe(
      'offpeak: maxPollIntervalMs (100) is below pollIntervalMs (500)',
    )
    expect(config({ pollIntervalMs: 90_000 }).maxPollIntervalMs).toBe(90_000)
  })

  test('of a completion window nobody offers is refused with those that are offered', () => {
    expect(refusal({ completionWindow: '1h' })).toBe(
      'offpeak: option "completionWindow": no provider offers "1h"; offered: 24h',
    )
  })
})

describe('metadata', () => {
  const pairs = (count: number): Record<string, string> =>
    Object.fromEntries(Array.from({ length: count }, (_, index) => [`key${index}`, 'value']))

  test('leaves one pair to offpeak', () => {
    expect(refusal({ metadata: pairs(15) })).toBe('accepted')
    expect(refusal({ metadata: pairs(16) })).toMatch(/openai takes 15 pairs beside offpeak's own, not 16/)
  })

  test('is no longer than the provider takes', () => {
    expect(refusal({ metadata: { ['k'.repeat(64)]: 'v'.repeat(512) } })).toBe('accepted')
    expect(refusal({ metadata: { ['k'.repeat(65)]: 'v' } })).toMatch(/longer than the 64 characters openai takes/)
    expect(refusal({ metadata: { team: 'v'.repeat(513) } })).toMatch(/"team" is longer than the 512 characters/)
  })
})

describe('base URLs', () => {
  test('come from options, OFFPEAK_BASE_URLS and the SDK’s own variable, in that order', () => {
    const { baseUrls } = config(
      { baseUrls: { openai: ['http://a.test/v1'] } },
      {
        OFFPEAK_BASE_URLS: ' openai=http://b.test/v1?x=1=2 , openai=http://c.test ,',
        OPENAI_BASE_URL: ' https://d.test/v1 ',
      },
    )

    expect(baseUrls).toEqual({
      openai: ['http://a.test/v1', 'http://b.test/v1?x=1=2', 'http://c.test', 'https://d.test/v1'],
    })
  })

  test.each([
    [
      { baseUrls: { opnai: ['http://a.test'] } },
      {},
      /option "baseUrls": unknown provider "opnai"; did you mean "openai"/,
    ],
    [{ baseUrls: { xyz: ['http://a.test'] } }, {}, /unknown provider "xyz"; known are openai/],
    [{ baseUrls: { openai: ['a.test/v1'] } }, {}, /"a.test\/v1" is not an http or https URL/],
    [{ baseUrls: { openai: ['ftp://a.test'] } }, {}, /is not an http or https URL/],
    [{}, { OFFPEAK_BASE_URLS: 'http://a.test' }, /OFFPEAK_BASE_URLS: "http:\/\/a.test" is not provider=url/],
    [{}, { OFFPEAK_BASE_URLS: 'openai=nowhere' }, /OFFPEAK_BASE_URLS: "nowhere" is not an http or https URL/],
    [{}, { OFFPEAK_BASE_URLS: 'opneai=http://a.test' }, /did you mean "openai"/],
  ])('%o %o is refused', (options, env, message) => {
    expect(refusal(options, env)).toMatch(message)
  })

  test.each(['', ' ', 'nowhere', 'ftp://a.test/v1'])(
    'what the SDK’s variable holds (%j) is the SDK’s to complain about',
    (url) => {
      expect(config({}, { OPENAI_BASE_URL: url }).baseUrls).toEqual({})
    },
  )
})

describe('options of one provider', () => {
  const schema = z.strictObject({ regions: z.array(z.string()) })
  const adapter = {
    ...openai,
    configure: (settings: unknown) => ({ ...openai, bases: schema.parse(settings).regions }),
  }
  const parse = (providers: object): Config => parseConfig({ providers: { ...providers } }, {}, [adapter], 'linux')

  test('reach its adapter, and no other', () => {
    expect(parse({ openai: { regions: ['https://eu'] } }).adapters.map(({ bases }) => bases)).toEqual([['https://eu']])
    expect(parse({}).adapters).toEqual([adapter])
  })

  test.each([
    [{ openai: { region: [] } }, 'option "providers.openai"'],
    [{ openai: { regions: [7] } }, 'option "providers.openai".regions.0'],
    [{ openia: {} }, 'did you mean "openai"'],
  ])('%j is refused by name', (providers, message) => {
    expect(() => parse(providers)).toThrow(message)
  })

  test('are refused where there are none', () => {
    expect(refusal({ providers: { openai: {} } })).toContain('openai has no options of its own')
  })
})

describe('the environment', () => {
  test.each([
    ['1', true],
    ['true', true],
    ['yes', true],
    ['0', false],
    ['false', false],
    ['FALSE', false],
    ['', false],
  ])('OFFPEAK_DISABLE=%s means disabled: %s', (value, disabled) => {
    expect(config({}, { OFFPEAK_DISABLE: value }).disabled).toBe(disabled)
  })

  const storeOn = (platform: NodeJS.Platform, env: Environment): unknown =>
    parseConfig({}, env, [openai], platform).store

  test('says where the store is, by the customs of each system', () => {
    expect(storeOn('linux', { XDG_STATE_HOME: '/xdg' })).toBe(join('/xdg', 'offpeak', 'store.db'))
    expect(storeOn('linux', {})).toMatch(/\.local.state.offpeak.store\.db$/)
    expect(storeOn('darwin', {})).toMatch(/Library.Application Support.offpeak.store\.db$/)
    expect(storeOn('win32', { LOCALAPPDATA: 'C:\\Local' })).toContain('C:\\Local')
    expect(storeOn('win32', {})).toMatch(/AppData.Local.offpeak.store\.db$/)
    for (const platform of ['linux', 'darwin', 'win32'] as const) {
      expect(storeOn(platform, { OFFPEAK_HOME: '/mine' })).toBe(join('/mine', 'store.db'))
    }
  })

  test('gives way to the option', () => {
    const store = openMemoryStore()

    expect(config({ store: '/elsewhere/s.db' }).store).toBe('/elsewhere/s.db')
    expect(config({ store }).store).toBe(store)
  })
})

test.each([
  [true, true, 30],
  [false, false, 30],
  [{}, true, 30],
  [{ retentionDays: 7 }, true, 7],
  [{ retentionDays: 0 }, true, 0],
])('cache: %o', (cache, isOn, days) => {
  expect(config({ cache })).toMatchObject({ cache: isOn, retentionMs: days * 86_400_000 })
})

test.each([
  [false, undefined],
  [true, 60_000],
  [{}, 60_000],
  [{ idleMs: 0 }, 0],
])('deferred: %o', (deferred, deferAfterMs) => {
  expect(config({ deferred })).toMatchObject({ deferAfterMs })
})

test('what was parsed does not change any more', () => {
  expect(Object.isFrozen(config())).toBe(true)
})
