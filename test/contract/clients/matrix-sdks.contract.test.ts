import { sdkClients } from '../../support/matrix/clients.ts'
import { describeMatrix } from './matrix.ts'

describeMatrix(sdkClients)
