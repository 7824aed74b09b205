/** hive-agent: serve (default), csr, install-certificate, version, help. */
import pino from 'pino'
import { HiveError, messageOf } from '../proto/errors.ts'
import { systemdNotifier } from './adapters/notify.ts'
import { readCommandLine, usage } from './command-line.ts'
import { startAgent } from './server/agent.ts'
import { loadConfig } from './server/config.ts'
import { binarySha256, version } from './server/identity.ts'
import { createRequest, installCertificate } from './server/pki.ts'
import { collectAtRest } from './server/rest.ts'
import { executors } from './steps/index.ts'

async function main(): Promise<void> {
  const { command, values } = readCommandLine(process.argv.slice(2))
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
