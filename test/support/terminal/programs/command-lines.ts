// Runs command lines one after the other in one process, each as the program `offpeak` would, and says on both streams how each has ended.
import { runAsProgram } from '../../../../src/cli/main.ts'

const [node = '', , file = '[]'] = process.argv
const lines = JSON.parse(file) as string[][] // written by the test

for (const line of lines) {
  process.argv = [node, 'offpeak', ...line]
  await runAsProgram()
  const end = `<ended with ${process.exitCode}>\n`
  process.stdout.write(end)
  process.stderr.write(end)
}
process.exitCode = 0
