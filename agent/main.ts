/** hive-agent: serve (default), csr, install-certificate, version, help. */
import { parseArgs } from 'node:util'
import pino from 'pino'
import { HiveError, messageOf } from '../proto/errors.ts'
import { systemdNotifier } from './adapters/notify.ts'
import { startAgent } from './server/agent.ts'
import { defaultConfigPath, loadConfig } from './server/config.ts'
import { binarySha256, version } from './server/identity.ts'
import { createRequest, installCertificate } from './server/pki.ts'
import { collectAtRest } from './server/rest.ts'
import { executors } from './steps/index.ts'

const usage = `hive-agent [serve]                                       run as the host's agent
hive-agent csr --name FQDN [--dns NAME]... [--ip ADDRESS]... [--new-key]
                                                         print a request for a certificate
hive-agent install-certificate                           take {certificate, ca} as JSON from standard input
hive-agent version                                       print version and SHA-256 of the program
Each takes --config FILE, by default ${defaultConfigPath}.
`

/** Throws HiveError 'invalid-input' with what the command line should have been. */
function commandLine() {
  try {
    return parseArgs({
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

async function main(): Promise<void> {
  const { values, positionals } = commandLine()
  const command = values.help ? 'help' : values.version ? 'version' : (positionals[0] ?? 'serve')
  switch (command) {
    case 'serve':
      return serve(values.config)
    case 'csr': {
      if (values.name === undefined) throw new HiveError('invalid-input', 'csr needs --name FQDN')
      const { pkiDir } = await loadConfig(values.config, true)
      process.stdout.write(await createRequest(pkiDir, { name: values.name, dns: values.dns, addresses: values.ip }, values['new-key']))
      return
    }
    case 'install-certificate': {
      const { pkiDir } = await loadConfig(values.config, true)
      const { certificate, ca } = await certificateFromStdin()
      const expires = await installCertificate(pkiDir, certificate, ca)
      process.stdout.write(`${JSON.stringify({ expires })}\n`)
      return
    }
    case 'version':
      process.stdout.write(`${JSON.stringify({ version, sha256: await binarySha256() })}\n`)
      return
    case 'help':
      process.stdout.write(usage)
      return
    default:
      throw new HiveError('invalid-input', `there is serve, csr, install-certificate, version and help, not ${command}`)
  }
}

async function serve(configPath: string): Promise<void> {
  const notifier = systemdNotifier(process.env)
  const log = pino({ base: null, timestamp: pino.stdTimeFunctions.isoTime })
  const config = await loadConfig(configPath)
  const agent = await startAgent({ config, executors, log })
  log.info({ host: config.host, port: agent.port, version }, 'listening')
  notifier.ready()
  collectAtRest()
  process.on('SIGHUP', () => void agent.reload())
  const stop = (signal: string): void => {
    log.info({ signal }, 'stopping')
    Promise.all([agent.stop(), notifier.stopping()]).then(
      () => process.exit(0),
      (error: unknown) => {
        log.error({ err: error }, 'not stopped in order')
        process.exit(1)
      },
    )
  }
  process.once('SIGTERM', stop)
  process.once('SIGINT', stop)
  process.on('unhandledRejection', (error) => log.error({ err: error }, 'a promise was rejected and nobody listened'))
}

async function certificateFromStdin(): Promise<{ certificate: string; ca: string }> {
  let text = ''
  for await (const chunk of process.stdin.setEncoding('utf8')) text += String(chunk)
  const problem = 'a JSON object {certificate, ca} is expected on standard input'
  let raw: unknown
  try {
    raw = JSON.parse(text)
  } catch (error) {
    throw new HiveError('invalid-input', problem, { cause: error })
  }
  const { certificate, ca } = (typeof raw === 'object' && raw !== null ? raw : {}) as Record<string, unknown>
  if (typeof certificate !== 'string' || typeof ca !== 'string') throw new HiveError('invalid-input', problem)
  return { certificate, ca }
}

main().catch((error: unknown) => {
  const hint = error instanceof HiveError && error.hint !== undefined ? ` (${error.hint})` : ''
  process.stderr.write(`hive-agent: ${messageOf(error)}${hint}\n`)
  if (!(error instanceof HiveError) && error instanceof Error) process.stderr.write(`${error.stack}\n`)
  process.exit(error instanceof HiveError && error.code === 'invalid-input' ? 2 : 1)
})
