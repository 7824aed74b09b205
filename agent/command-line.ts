/** What `hive-agent` takes on its command line. */
import { parseArgs } from 'node:util'
import { HiveError, messageOf } from '../proto/errors.ts'
import { defaultConfigPath } from './server/config.ts'

const commands = ['serve', 'csr', 'install-certificate', 'version', 'help'] as const

export const usage = `hive-agent [serve]                                       run as the host's agent
hive-agent csr --name FQDN [--dns NAME]... [--ip ADDRESS]... [--new-key]
                                                         print a request for a certificate
hive-agent install-certificate                           take {certificate, ca} as JSON from standard input
hive-agent version                                       print version and SHA-256 of the program
Each takes --config FILE, by default ${defaultConfigPath}.
`

/** `args`: without the program's own name. Throws HiveError 'invalid-input' with what the command line should have been. */
export function readCommandLine(args: readonly string[]) {
  const { values, positionals } = parsed(args)
  const named = values.help ? 'help' : values.version ? 'version' : (positionals[0] ?? 'serve')
  const command = commands.find((one) => one === named)
  if (command === undefined) throw new HiveError('invalid-input', `there is ${commands.join(', ')}, not ${named}`)
  return { command, values }
}

function parsed(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        config: { type: 'string', default: defaultConfigPath },
        name: { type: 'string' },
        dns: { type: 'string', multiple: true, default: [] },
        ip: { type: 'string', multiple: true, default: [] },
        'new-key': { type: 'boolean', default: false },
        version: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    })
  } catch (error) {
    throw new HiveError('invalid-input', messageOf(error).split('. ')[0] ?? '', { hint: 'hive-agent --help tells what it takes', cause: error })
  }
}
