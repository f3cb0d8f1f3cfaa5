import { frameworkClients } from '../../support/matrix/clients.ts'
import { describeMatrix } from './matrix.ts'

describeMatrix(frameworkClients)
