import Sqlite from 'better-sqlite3'

/** Every connection that is opened from now on: the live objects, to be looked at and tampered with where a store keeps them to itself. */
export function liveConnections(): readonly Sqlite.Database[] {
  const seen: Sqlite.Database[] = []
  // oxlint-disable-next-line typescript/unbound-method -- called with its connection below
  const { prepare } = Sqlite.prototype
  Sqlite.prototype.prepare = function (this: Sqlite.Database, source: string) {
    if (!seen.includes(this)) seen.push(this)
    return prepare.call(this, source)
  } as typeof prepare // it has as many type parameters as SQL has answers
  return seen
}
