import { beforeAll, describe, expect, it } from 'vitest'
import type { Client } from '../../support/matrix/client.ts'
import { COLUMNS } from '../../support/matrix/columns.ts'
import { lookAt, type Row } from '../../support/matrix/look.ts'
import { titleOf } from '../../support/matrix/render.ts'

/** The cells of these rows are as declared. To be called once in a file, which imports nothing that loads the library. */
export function describeMatrix(clients: readonly Client[]): void {
  let rows: readonly Row[]
  beforeAll(async () => {
    rows = await lookAt(clients)
  }, 60_000)

  describe.for(clients.map((client) => [titleOf(client), client] as const))('%s', ([, client]) => {
    it.for(COLUMNS)(`is as declared: %s`, (column) => {
      const row = rows.find((row) => row.client === client)

      const cell = row?.cells.find((cell) => cell.column === column)

      expect(cell).toMatchObject({ column, complaint: undefined })
    })
  })
}
