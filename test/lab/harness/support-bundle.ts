/** A support bundle of a lab's stage, and the secrets of the stage that must not be in it. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { capture, type LabSite } from './lab-site.ts'

/** Contents by name. */
export async function bundleOf(site: LabSite): Promise<ReadonlyMap<string, string>> {
  const folder = mkdtempSync(join(tmpdir(), 'hive-lab-bundle-'))
  try {
    const path = join(folder, 'bundle.tar.gz')
    await site.succeed(['support-bundle', '--to', path])
    const { code, out } = await capture(['tar', '-xzf', path, '-C', folder, '--strip-components=1'], 30_000)
    if (code !== 0) throw new Error(`tar: ${out}`)
    const names = (readdirSync(folder, { recursive: true }) as string[]).filter((name) => name !== 'bundle.tar.gz' && statSync(join(folder, name)).isFile())
    return new Map(names.map((name) => [name, readFileSync(join(folder, name), 'utf8')]))
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** By what they are. `hosts`: full names; the first is a manager. */
export async function secretsOf(site: LabSite, hosts: readonly string[]): Promise<ReadonlyMap<string, string>> {
  const found = new Map<string, string>()
  const keyLines = (what: string, pem: string): void => {
    for (const [index, line] of pem.split('\n').entries()) if (line.length >= 32 && !line.startsWith('-----')) found.set(`${what}, line ${index}`, line)
  }
  const manager = hosts[0] ?? ''
  for (const role of ['worker', 'manager']) found.set(`join token of a ${role}`, (await site.onHost(manager, `docker swarm join-token -q ${role}`)).trim())
  for (const host of hosts) keyLines(`key of ${host}`, await site.onHost(host, 'cat /etc/hive-agent/pki/key.pem'))
  for (const host of hosts) {
    const secrets = await site.onHost(host, `cat /etc/drbd.d/*.res 2>/dev/null | sed -n 's/.*shared-secret "\\(.*\\)".*/\\1/p'`)
    for (const [index, secret] of secrets.trim().split('\n').entries()) if (secret !== '') found.set(`secret ${index} of mirrored volumes on ${host}`, secret)
  }
  for (const name of readdirSync(site.contextDir, { recursive: true }) as string[]) {
    const path = join(site.contextDir, name)
    if (!statSync(path).isFile() || name.startsWith('runs/')) continue
    const text = readFileSync(path, 'utf8')
    if (/PRIVATE KEY/.test(text)) keyLines(name, text)
    else if (/passw|psk|secret/i.test(name)) found.set(name, text.trim())
  }
  return found
}
