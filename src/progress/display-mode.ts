import type { OutputStream } from './output.ts'
import type { Look } from './style.ts'

export type DisplayMode = 'auto' | 'live' | 'log' | 'off'

/** Environment variables, as far as a display looks at them. */
export type Environment = Readonly<Record<string, string | undefined>>

function isSet(value: string | undefined): boolean {
  return value !== undefined && value !== '' && value !== '0' && value.toLowerCase() !== 'false'
}

/** What `auto` means here. A live block needs a terminal even when it is asked for: elsewhere it would be a log full of escape codes. */
export function chooseMode(mode: DisplayMode, stream: OutputStream, env: Environment): 'live' | 'log' | 'off' {
  if (mode === 'off' || mode === 'log') return mode
  if (stream.isTTY !== true || env['TERM'] === 'dumb') return 'log'
  return mode === 'auto' && isSet(env['CI']) ? 'log' : 'live'
}

/** FORCE_COLOR decides when it is set, as it does for Node itself; then NO_COLOR; then whether anybody sees it. */
export function chooseLook(stream: OutputStream, env: Environment): Look {
  return { colour: hasColour(stream, env), unicode: hasUnicode(env) }
}

function hasColour(stream: OutputStream, env: Environment): boolean {
  const forced = env['FORCE_COLOR']
  if (forced !== undefined) return forced !== '0' && forced.toLowerCase() !== 'false'
  if (env['NO_COLOR'] !== undefined && env['NO_COLOR'] !== '') return false
  return stream.isTTY === true && env['TERM'] !== 'dumb'
}

/** A locale that names another character set is believed; none at all, as in most containers, is not a reason to be ugly. */
function hasUnicode(env: Environment): boolean {
  const locale = [env['LC_ALL'], env['LC_CTYPE'], env['LANG']].find((value) => value !== undefined && value !== '')
  if (env['TERM'] === 'linux' || env['TERM'] === 'dumb') return false
  return locale === undefined || /utf-?8/i.test(locale)
}
