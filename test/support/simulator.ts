import { startSimulator, type Simulator, type SimulatorOptions } from '../../src/simulator/index.ts'

/** A provider for tests: every look at a batch moves time on by a third of what a batch takes, so the third look finds it completed. */
export function startTestSimulator(options: SimulatorOptions = {}): Promise<Simulator> {
  return startSimulator({ time: 'virtual', autoAdvance: true, batchMs: 3000, ...options })
}
