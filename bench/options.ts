/** The command line of the bench. */
import { parseArgs } from 'node:util'

export interface Options {
  readonly services: readonly number[]
  readonly hosts: readonly number[]
  readonly ansible: boolean
  /** Only the plan and the calls of an aws stage, against an emulator. */
  readonly aws: boolean
  /** Only what mirrored volumes take, on a fake DRBD. */
  readonly volumes: boolean
  /** Only what a failover with a mirrored volume takes, on a fake DRBD. */
  readonly failover: boolean
  /** Only what it takes the agents to report to Zabbix. */
  readonly reporting: boolean
  /** Where the figures go as JSON. */
  readonly json: string | undefined
}

export const usage = `npm run bench -- [options]
  --quick              50 services on 3 hive hosts only
  --services 10,50,200 numbers of services (default: these)
  --hosts 3,7          numbers of hive hosts; a repository server comes on top (default: these)
  --no-ansible         leave the Ansible playbook out
  --aws                only the plan of an aws stage and its calls, against an emulator of EC2; needs apt, no root
  --volumes            only 20 mirrored volumes on 3 hosts, built and looked at again, on a fake DRBD
  --failover           only a host with a mirrored volume that loses its power, several times, on a fake DRBD
  --reporting          only what it takes the agents to report to Zabbix every 60 s, beside 50 services on 3 hosts
  --json FILE          write the figures there, too
`

/** Throws a RangeError or parseArgs' TypeError for what it does not understand. */
export function parseOptions(argv: readonly string[]): Options | 'help' {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      quick: { type: 'boolean', default: false },
      services: { type: 'string' },
      hosts: { type: 'string' },
      'no-ansible': { type: 'boolean', default: false },
      aws: { type: 'boolean', default: false },
      volumes: { type: 'boolean', default: false },
      failover: { type: 'boolean', default: false },
      reporting: { type: 'boolean', default: false },
      json: { type: 'string' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  })
  if (values.help) return 'help'
  if ([values.aws, values.volumes, values.failover, values.reporting].filter(Boolean).length > 1)
    throw new RangeError('--aws, --volumes, --failover and --reporting are measured one at a time')
  return {
    services: numbers('--services', values.services ?? (values.quick ? '50' : '10,50,200'), 1, 999),
    hosts: numbers('--hosts', values.hosts ?? (values.quick ? '3' : '3,7'), 1, 15),
    ansible: !values['no-ansible'],
    aws: values.aws,
    volumes: values.volumes,
    failover: values.failover,
    reporting: values.reporting,
    json: values.json,
  }
}

function numbers(option: string, text: string, least: number, most: number): readonly number[] {
  const found = text.split(',').map(Number)
  if (found.some((number) => !Number.isInteger(number) || number < least || number > most))
    throw new RangeError(`${option}: numbers from ${least} to ${most}, separated by commas, are expected, not ${text}`)
  return [...new Set(found)].sort((a, b) => a - b)
}
