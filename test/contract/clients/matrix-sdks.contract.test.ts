import { sdkClients } from '../../support/matrix/clients.ts'
import { describeDryRun } from './dry-run.ts'
import { describeMatrix } from './matrix.ts'

describeMatrix(sdkClients)
describeDryRun(sdkClients)
