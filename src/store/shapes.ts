import type { Database } from 'better-sqlite3'
import { EARLIER_COLUMNS } from './migrations.ts'
import type { Cell, TreeKind, Value } from './records.ts'

interface Column {
  readonly name: string
  readonly type: string
  readonly isNullable: boolean
  /** It is the row's number, and not in the record. */
  readonly isRowid: boolean
}

/** What the entries of one table, or of an index that repeats some of its columns, look like. */
export interface Shape {
  readonly table: string
  readonly kind: TreeKind
  /** The table or index as the schema names it. */
  readonly tree: string
  /** Where it begins in a store that has just been made, which is where it begins in all that were made alike. */
  readonly root: number
  /** In the order of the record. */
  readonly columns: readonly Column[]
  /** It has every column of its table. */
  readonly isWhole: boolean
}

/** A row by the names of its columns. */
export type Row = Readonly<Record<string, Value>>

/** SQLite's own table of what there is. */
export const SCHEMA_SHAPE: Shape = {
  table: 'sqlite_schema',
  kind: 'table',
  tree: 'sqlite_schema',
  root: 1,
  columns: ['type', 'name', 'tbl_name', 'rootpage', 'sql'].map((name) => ({
    name,
    type: name === 'rootpage' ? 'INTEGER' : 'TEXT',
    isNullable: name === 'sql',
    isRowid: false,
  })),
  isWhole: true,
}

interface TableRow {
  readonly name: string
  readonly wr: number
}
interface ColumnRow {
  readonly name: string
  readonly type: string
  readonly notnull: number
  readonly pk: number
}
interface IndexRow {
  readonly name: string
  readonly origin: string
}

/** The shapes of a store's tables, and of the indexes that repeat unique columns of them, read from the store itself. */
export function shapesOf(database: Database): readonly Shape[] {
  const rootOf = database.prepare<[string], number>('SELECT rootpage FROM sqlite_schema WHERE name = ?').pluck()
  const tables = database
    .prepare<[], TableRow>("SELECT name, wr FROM pragma_table_list WHERE schema = 'main' AND name NOT LIKE 'sqlite%'")
    .all()
  const columnsOf = database.prepare<[string], ColumnRow>(
    'SELECT name, type, "notnull", pk FROM pragma_table_info(?) ORDER BY cid',
  )
  const indexesOf = database.prepare<[string], IndexRow>(
    "SELECT name, origin FROM pragma_index_list(?) WHERE origin = 'u'",
  )
  const indexed = database
    .prepare<[string], string | null>('SELECT name FROM pragma_index_xinfo(?) ORDER BY seqno')
    .pluck()

  return tables.flatMap((table) => {
    const isRowids = table.wr === 0
    const columns = columnsOf.all(table.name).map((column) => toColumn(column, isRowids))
    const rowid = columns.find(({ isRowid }) => isRowid)
    const whole: Shape = {
      table: table.name,
      kind: isRowids ? 'table' : 'index',
      tree: table.name,
      root: rootOf.get(table.name) ?? 0,
      // Without row numbers, the key comes first; all such tables of ours declare it so.
      columns,
      isWhole: true,
    }
    if (!rowid) return [whole]
    const indexes = indexesOf.all(table.name).map((index): Shape => {
      const names = indexed.all(index.name).map((name) => name ?? rowid.name)
      return {
        table: table.name,
        kind: 'index',
        tree: index.name,
        root: rootOf.get(index.name) ?? 0,
        columns: names.flatMap((name) => columns.filter((column) => column.name === name)),
        isWhole: names.length === columns.length,
      }
    })
    return [whole].concat(indexes)
  })
}

function toColumn({ name, type, notnull, pk }: ColumnRow, isRowids: boolean): Column {
  const isRowid = isRowids && pk > 0 && type === 'INTEGER'
  return { name, type, isNullable: notnull === 0 && pk === 0, isRowid }
}

/** The row a cell holds, if it can be one of this shape. Columns that were added later may be missing at its end. */
export function rowOf(shape: Shape, { rowid, values }: Cell, isExact: boolean): Row | undefined {
  const isShort = values.length < shape.columns.length
  const isEarlier = shape.isWhole && values.length === EARLIER_COLUMNS[shape.table]
  if (values.length > shape.columns.length || (isExact && isShort && !isEarlier)) return undefined
  const row: Record<string, Value> = {}
  for (const [at, value] of values.entries()) {
    const column = shape.columns[at]
    if (!column) return undefined
    const stands = column.isRowid && shape.kind === 'table' ? (value === null ? rowid : undefined) : value
    if (stands === undefined || !fits(column, stands)) return undefined
    row[column.name] = stands
  }
  return row
}

function fits({ type, isNullable }: Column, value: Value): boolean {
  if (value === null) return isNullable
  if (typeof value === 'number') return type === 'INTEGER' && Number.isInteger(value)
  return typeof value === 'string' ? type === 'TEXT' : type === 'BLOB'
}
