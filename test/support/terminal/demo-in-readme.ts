import type { DemoRecording } from './record-demo.ts'

const START = '<!-- demo: recorded by `npm run readme` -->'
const END = '<!-- /demo -->'

/** The README with its screen of the demo recorded anew; untouched when nothing but times has changed. */
export function withDemo(readme: string, recording: DemoRecording): string {
  const { before, screen, after } = parts(readme)
  const recorded = screenText(recording)
  return shapeOf(screen) === shapeOf(recorded) ? readme : before + recorded + after
}

/** The demo's screen as the README shows it. */
export function demoIn(readme: string): string {
  return parts(readme).screen
}

export function screenText({ block, ending }: DemoRecording): string {
  return ['', '', '```', '$ npx offpeak demo', ...block, '  …', ...ending, '```', '', ''].join('\n')
}

/** Without what differs from one recording to the next: times, how far each batch is, and the room such numbers take. */
export function shapeOf(screen: string): string {
  return screen
    .replaceAll(/[━─]+/g, '━')
    .replaceAll(/\d+(?=\/)/g, '0')
    .replaceAll(/\d+m?s\b/g, '0s')
    .replaceAll(/ {2,}/g, '  ')
}

function parts(readme: string): { readonly before: string; readonly screen: string; readonly after: string } {
  const from = readme.indexOf(START) + START.length
  const to = readme.indexOf(END)
  if (from < START.length || to < from) throw new Error(`the README has no place for the demo: ${START} … ${END}`)
  return { before: readme.slice(0, from), screen: readme.slice(from, to), after: readme.slice(to) }
}
