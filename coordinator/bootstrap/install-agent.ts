/** The agent on one host, over ssh: package, configuration, certificate, running. Each part only where it is missing or differs. */
import { createHash } from 'node:crypto'
import type { Host } from '../inventory/site.ts'
import type { HostNames } from '../pki/stage-pki.ts'
import type { SshTarget } from '../providers/provider.ts'
import type { AgentPackages } from './agent-packages.ts'
import { factsScript, packageFor, readHostFacts } from './host-facts.ts'
import { installScript, lockPatience, removeOldUnit } from './install-package.ts'
import { onHost, quoted, type SshOptions } from './ssh.ts'

/** What the bootstrap needs of the stage's CA. */
export interface HostSigner {
  readonly caPem: string
  ensureCa(): Promise<void>
  /** The host had an agent before. */
  enrolled?(host: string): boolean
  signHostCertificate(csrPem: string, host: HostNames): Promise<string>
  /** The certificate that the host has can stay, for the key of its request. */
  hostCertificateServes(certificatePem: string, csrPem: string, host: HostNames): Promise<boolean>
}

export interface InstallInput {
  readonly host: Pick<Host, 'name' | 'shortName' | 'address' | 'settings'>
  readonly target: SshTarget
  readonly contextDir: string
  readonly pki: HostSigner
  readonly packages: AgentPackages
  /** The agent answers, with its stage's certificate: it is restarted only where it must be. */
  readonly answers: boolean
  readonly signal: AbortSignal
  readonly say: (what: string) => void
}

const program = '/usr/bin/hive-agent'
/** With " (deleted)" behind it where another file has its place by now. */
const runningProgram = '$(readlink /proc/$(systemctl show --property MainPID --value hive-agent.service)/exe)'
const configFile = '/etc/hive-agent/agent.json'
const pkiFolder = '/etc/hive-agent/pki'
/** A host that boots answers after a while. */
const patience = 120_000
/** Milliseconds to send some 40 MB over a slow line, besides waiting for another package manager. */
const installTime = 600_000 + lockPatience * 1000

/** Idempotent; safe to repeat after an interruption at any point. Throws HiveError 'unsupported' where no package fits the host. */
export async function installAgent({ host, target, contextDir, pki, packages, answers, signal, say }: InstallInput): Promise<void> {
  const ssh = (script: string, more: Pick<SshOptions, 'input' | 'timeout' | 'onLine'> = {}) => onHost(target, script, { contextDir, signal, patience, ...more })
  const facts = readHostFacts((await ssh(factsScript)).stdout)
  const kind = packageFor(host.name, facts)
  if (!facts.packaged || facts.binarySha256 !== packages.binarySha256) {
    const agent = await packages.of(kind)
    say(`sending ${agent.fileName}`)
    await ssh(installScript(agent), { input: await agent.bytes(), timeout: installTime, onLine: say })
  }
  const config = `${JSON.stringify({ host: host.name, address: host.address, port: host.settings.agentPort }, null, 2)}\n`
  const prepare = [
    'set -e',
    removeOldUnit,
    'mkdir -p /etc/hive-agent /var/lib/hive-agent',
    'chmod 700 /etc/hive-agent /var/lib/hive-agent',
    `printf %s ${quoted(config)} > ${configFile}.new && mv -f ${configFile}.new ${configFile}`,
    `exec ${program} csr --name ${quoted(host.name)} --dns ${quoted(host.name)} --dns ${quoted(host.shortName)} --ip ${quoted(host.address)}`,
  ].join('\n')
  say('enrolling the agent')
  const { stdout: request } = await ssh(prepare)
  const names = { name: host.name, dns: [host.name, host.shortName], addresses: [host.address] }
  // A new certificate restarts whatever else serves with it, so the present one stays while it is good.
  const { stdout: present } = await ssh(`if cmp -s - ${pkiFolder}/ca.pem; then cat ${pkiFolder}/cert.pem; fi 2>/dev/null || true`, { input: pki.caPem })
  const stays = await pki.hostCertificateServes(present, request, names)
  const same = stays && answers && facts.configSha256 === createHash('sha256').update(config).digest('hex')
  const start = [
    'set -e',
    ...(stays ? [] : [`${program} install-certificate > /dev/null`]),
    'systemctl daemon-reload',
    'systemctl enable --quiet hive-agent.service',
    // The package has restarted an agent that runs.
    ...(same ? [`if systemctl --quiet is-active hive-agent.service && [ "${runningProgram}" = ${program} ]; then exit 0; fi`] : []),
    'systemctl restart hive-agent.service || { journalctl -u hive-agent.service -n 8 --no-pager -o cat >&2; exit 1; }',
  ].join('\n')
  // The unit is Type=notify: restart returns when the agent listens.
  const certificate = stays ? '' : JSON.stringify({ certificate: await pki.signHostCertificate(request, names), ca: pki.caPem })
  await ssh(start, { input: certificate, timeout: 120_000 })
}
