// Imported before anything that an older Node could not load, so that its user reads a sentence instead of a crash.
const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)

if (major < 22 || (major === 22 && minor < 19)) {
  throw new Error(`offpeak needs Node 22.19 or newer; this is Node ${process.versions.node}. See https://nodejs.org`)
}
