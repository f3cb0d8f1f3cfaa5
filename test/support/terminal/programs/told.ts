// Says each time it is told to end, and does the third time.
let times = 0
const onSignal = (signal: NodeJS.Signals): void => {
  times += 1
  console.log(`told ${times}: ${signal}`)
  if (times === 3) process.exit(7)
}
process.on('SIGINT', onSignal).on('SIGTERM', onSignal)
setInterval(() => undefined, 60_000)
console.log('ready')
