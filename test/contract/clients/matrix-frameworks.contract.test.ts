import { frameworkClients } from '../../support/matrix/clients.ts'
import { describeDryRun } from './dry-run.ts'
import { describeMatrix } from './matrix.ts'

describeMatrix(frameworkClients)
describeDryRun(frameworkClients)
