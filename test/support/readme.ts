import type { ProviderAdapter } from '../../src/core/adapter.ts'

const START = '<!-- providers: written by `npm run readme` -->'
const END = '<!-- /providers -->'

/** The README with its table of providers made anew. */
export function withProviderTable(readme: string, adapters: readonly ProviderAdapter[]): string {
  const from = readme.indexOf(START)
  const to = readme.indexOf(END)
  if (from === -1 || to < from) throw new Error(`the README has no place for the table: ${START} … ${END}`)
  return `${readme.slice(0, from + START.length)}\n\n${providerTable(adapters)}\n\n${readme.slice(to)}`
}

function providerTable(adapters: readonly ProviderAdapter[]): string {
  const rows = adapters.map((adapter) => {
    const { facts, limits } = adapter
    return [
      facts.title,
      facts.endpoints.map((endpoint) => `\`${endpoint}\``).join(' '),
      limits.windows.join(', '),
      `${limits.jobs.toLocaleString('en')} requests, ${megabytes(limits.bytes)}`,
      facts.discount,
      adapter.finished ? 'yes' : 'no',
      facts.recoveredBy,
      facts.passesThrough.join('; '),
    ]
  })
  const head = ['', 'batched', 'window', 'a batch', 'off', 'answers early', 'found again by', 'passes through']
  return [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.map(inCell).join(' | ')} |`).join('\n')
}

function megabytes(bytes: number): string {
  return bytes >= 1e9 ? `${bytes / 1e9} GB` : `${Math.round(bytes / 1e6)} MB`
}

function inCell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('\n', ' ')
}
