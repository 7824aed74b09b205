/** Imported into a process that shall take only what others leave of the processors. Its children inherit that. */
import { constants, setPriority } from 'node:os'

setPriority(constants.priority.PRIORITY_LOW)
