/** The agent on one host, over ssh: binary, unit, configuration, certificate, running. Each part only where it is missing or differs. */
import type { Host } from '../inventory/site.ts'
import type { HostNames } from '../pki/stage-pki.ts'
import type { SshTarget } from '../providers/provider.ts'
import { agentUnit } from './agent-unit.ts'
import { onHost, quoted } from './ssh.ts'

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

export interface AgentBinary {
  /** SHA-256 of the executable, hex. */
  readonly sha256: string
  /** The executable, gzip. Asked for only where it must be sent. */
  readonly compressed: () => Promise<Uint8Array>
}

export interface InstallInput {
  readonly host: Pick<Host, 'name' | 'shortName' | 'address' | 'settings'>
  readonly target: SshTarget
  readonly contextDir: string
  readonly pki: HostSigner
  readonly binary: AgentBinary
  readonly signal: AbortSignal
  readonly say: (what: string) => void
}

const path = '/usr/bin/hive-agent'
const pkiFolder = '/etc/hive-agent/pki'
/** A host that boots answers after a while. */
const patience = 120_000

/** Verified before it takes the old one's place; the running agent keeps its own file until it is restarted. */
const receive = (sha256: string): string =>
  [
    'set -e',
    `new=$(mktemp ${path}.XXXXXX)`,
    `trap 'rm -f "$new"' EXIT`,
    // Written in small pieces less of the file stays resident in the running agent: some 9 MB on Linux 6.
    'gzip -dc | dd of="$new" bs=4k iflag=fullblock status=none',
    `echo "${sha256}  $new" | sha256sum -c --status || { echo "the agent arrived damaged" >&2; exit 1; }`,
    'chmod 755 "$new"',
    `mv -f "$new" ${path}`,
  ].join('\n')

/** Files come as JSON-free text blocks; content is quoted, so nothing in it is executed. */
const writeFile = (file: string, content: string): string => `printf %s ${quoted(content)} > ${file}.new && mv -f ${file}.new ${file}`

/** Idempotent; safe to repeat after an interruption at any point. */
export async function installAgent({ host, target, contextDir, pki, binary, signal, say }: InstallInput): Promise<void> {
  const ssh = (script: string, input?: string | Uint8Array, timeout?: number) => onHost(target, script, { contextDir, signal, patience, input, timeout })
  const { stdout: installed } = await ssh(`sha256sum ${path} 2>/dev/null | cut -d" " -f1`)
  if (installed.trim() !== binary.sha256) {
    say('sending the agent')
    await ssh(receive(binary.sha256), await binary.compressed(), 600_000)
  }
  const config = `${JSON.stringify({ host: host.name, address: host.address, port: host.settings.agentPort }, null, 2)}\n`
  const prepare = [
    'set -e',
    'mkdir -p /etc/hive-agent /var/lib/hive-agent',
    'chmod 700 /etc/hive-agent /var/lib/hive-agent',
    writeFile('/etc/hive-agent/agent.json', config),
    writeFile('/etc/systemd/system/hive-agent.service', agentUnit),
    `exec ${path} csr --name ${quoted(host.name)} --dns ${quoted(host.name)} --dns ${quoted(host.shortName)} --ip ${quoted(host.address)}`,
  ].join('\n')
  say('enrolling the agent')
  const { stdout: request } = await ssh(prepare)
  const names = { name: host.name, dns: [host.name, host.shortName], addresses: [host.address] }
  // A new certificate restarts whatever else serves with it, so the present one stays while it is good.
  const { stdout: present } = await ssh(`if cmp -s - ${pkiFolder}/ca.pem; then cat ${pkiFolder}/cert.pem; fi 2>/dev/null || true`, pki.caPem)
  const stays = await pki.hostCertificateServes(present, request, names)
  const start = [
    'set -e',
    ...(stays ? [] : [`${path} install-certificate > /dev/null`]),
    'systemctl daemon-reload',
    'systemctl enable --quiet hive-agent.service',
    'systemctl restart hive-agent.service || { journalctl -u hive-agent.service -n 8 --no-pager -o cat >&2; exit 1; }',
  ].join('\n')
  // The unit is Type=notify: restart returns when the agent listens.
  await ssh(start, stays ? '' : JSON.stringify({ certificate: await pki.signHostCertificate(request, names), ca: pki.caPem }), 120_000)
}
