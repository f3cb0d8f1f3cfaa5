import type { Connection } from './connection.ts'

/** Rows written by one statement. More of them gain little, and make the statement larger. */
const ROWS_AT_ONCE = 32

type Value = number | string | null

/** Collects rows and writes them many at a time: half of what a small insert costs is the call. */
export interface Bulk {
  add(...row: readonly Value[]): void
  /** Writes what is left. Nothing is certain to be written before this. */
  flush(): void
}

/** Prepares inserts that cannot conflict, of rows such as `(?, 0, ?)`; the function it returns begins one series of them. */
export function bulkInto({ database }: Connection, table: string, row: string): () => Bulk {
  const columns = row.split('?').length - 1
  const insertOne = database.prepare<Value[]>(`INSERT INTO ${table} VALUES ${row}`)
  const insertMany = database.prepare<Value[]>(
    `INSERT INTO ${table} VALUES ${Array(ROWS_AT_ONCE).fill(row).join(', ')}`,
  )

  return () => {
    let values: Value[] = []
    return {
      add(...row) {
        values.push(...row)
        if (values.length < columns * ROWS_AT_ONCE) return
        insertMany.run(...values)
        values = []
      },
      flush() {
        for (let at = 0; at < values.length; at += columns) insertOne.run(...values.slice(at, at + columns))
        values = []
      },
    }
  }
}
