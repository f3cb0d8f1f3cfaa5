import type { ProviderAdapter } from '../../src/core/adapter.ts'

/** The README with its table of providers made anew. */
export function withProviderTable(readme: string, adapters: readonly ProviderAdapter[]): string {
  return between(readme, 'providers', providerTable(adapters))
}

/** The README with this table of clients, as `npm run clients -- --markdown` writes it. */
export function withClientTable(readme: string, table: string): string {
  return between(readme, 'clients', table.trim())
}

function between(readme: string, name: string, text: string): string {
  const [start, end] = [`<!-- ${name}: written by \`npm run readme\` -->`, `<!-- /${name} -->`]
  const from = readme.indexOf(start)
  const to = readme.indexOf(end)
  if (from === -1 || to < from) throw new Error(`the README has no place for this: ${start} … ${end}`)
  return `${readme.slice(0, from + start.length)}\n\n${text}\n\n${readme.slice(to)}`
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
