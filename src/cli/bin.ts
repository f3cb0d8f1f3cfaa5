#!/usr/bin/env node
// This file has to run, to its last line, on any Node that knows modules: no static imports, and no syntax younger than Node 14.
const wanted: readonly number[] = [22, 19]
const version = process.versions.node.split('.').map(Number)
const major = version[0] || 0
const minor = version[1] || 0

if (major < Number(wanted[0]) || (major === wanted[0] && minor < Number(wanted[1]))) {
  process.stderr.write(
    'offpeak needs Node ' + wanted.join('.') + ' or newer, and this is Node ' + process.versions.node + '.\n',
  )
  process.exitCode = 1
} else {
  import('./main.ts').then(
    function run(cli) {
      return cli.runAsProgram()
    },
    function fail(error: unknown) {
      process.stderr.write('offpeak could not start: ' + String(error) + '\n')
      process.exitCode = 1
    },
  )
}
