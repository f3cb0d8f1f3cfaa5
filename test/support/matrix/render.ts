import { adapters } from '../../../src/providers/registry.ts'
import { table } from '../../bench/table.ts'
import type { Client } from './client.ts'
import { COLUMNS } from './columns.ts'
import type { Row } from './look.ts'
import type { Exception } from './outcome.ts'

/** Its name and whom it asks, as they are written in the table. */
export function titleOf({ name, provider }: Client): string {
  const title = adapters.find((adapter) => adapter.name === provider)?.facts.title ?? provider
  return `${name} · ${title}`
}

/** The matrix as aligned columns, with the reasons below. */
export function asText(rows: readonly Row[]): string {
  const { heading, body, notes } = layOut(rows)
  return [table(heading, body), '', ...notes].join('\n')
}

/** The matrix as a table for the README. */
export function asMarkdown(rows: readonly Row[]): string {
  const { heading, body, notes } = layOut(rows)
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`
  return [line(heading), line(heading.map(() => '---')), ...body.map(line), '', notes.join('  \n')].join('\n')
}

interface Layout {
  readonly heading: readonly string[]
  readonly body: readonly (readonly string[])[]
  readonly notes: readonly string[]
}

/** Cells with the same reason share a footnote. */
function layOut(rows: readonly Row[]): Layout {
  const reasons = [
    ...new Set(rows.flatMap(({ cells }) => cells.flatMap(({ declared }) => (declared ? [declared.because] : [])))),
  ]
  const word = (declared: Exception | undefined): string => {
    if (!declared) return 'yes'
    const mark = superscript(reasons.indexOf(declared.because) + 1)
    return (declared.says === 'n/a' ? '–' : declared.says) + mark
  }
  return {
    heading: ['', ...COLUMNS],
    body: rows.map(({ client, cells }) => [
      titleOf(client),
      ...cells.map(({ declared, complaint }) => (complaint === undefined ? word(declared) : 'WRONG')),
    ]),
    notes: reasons.map((reason, index) => `${superscript(index + 1)} ${reason}`),
  }
}

function superscript(number: number): string {
  return String(number).replaceAll(/\d/g, (digit) => '⁰¹²³⁴⁵⁶⁷⁸⁹'.charAt(Number(digit)))
}
