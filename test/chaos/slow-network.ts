/** A host's network made slow and lossy, both ways: netem where the kernel has it, else a token bucket and packets that are dropped at random. */
import { execFile, execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { LabSite } from '../lab/harness/lab-site.ts'
import { shortName } from './lab.ts'

const execute = promisify(execFile)

export type Way = 'netem' | 'tbf'

const disciplines: Readonly<Record<Way, readonly string[]>> = {
  netem: ['netem', 'delay', '80ms', '20ms', 'loss', '5%', 'rate', '4mbit'],
  tbf: ['tbf', 'rate', '2mbit', 'burst', '32kbit', 'latency', '400ms'],
}
/** What a host gets is lost as often; what it sends is only slowed down: a sender would be told of packets that are dropped on their way out. */
const drops = ['-m', 'statistic', '--mode', 'random', '--probability', '0.05', '-j', 'DROP']

export const inWords: Readonly<Record<Way, string>> = {
  netem: 'netem: 80 ms (± 20) each way, 5 % lost, 4 Mbit/s',
  tbf: 'this kernel has no netem: instead 2 Mbit/s each way (tbf, with a queue of 400 ms), and 5 % of what the host is sent is dropped (iptables)',
}

/** Tried in a network namespace of its own. */
export function wayHere(): Way {
  try {
    execFileSync('unshare', ['--net', 'tc', 'qdisc', 'add', 'dev', 'lo', 'root', 'netem', 'delay', '1ms'], { stdio: 'ignore' })
    return 'netem'
  } catch {
    return 'tbf'
  }
}

interface End {
  readonly namespace: string
  readonly device: string
}

function endsOf(site: LabSite, host: string): { readonly host: End; readonly atSwitch: End } {
  const stage = readFileSync(join(site.contextDir, 'netns'), 'utf8').trim()
  const name = shortName(host)
  return { host: { namespace: `${stage}-${name}`, device: 'eth0' }, atSwitch: { namespace: stage, device: `p-${name}` } }
}

const inNamespace = (namespace: string, ...argv: readonly string[]): Promise<unknown> =>
  execute('nsenter', [`--net=/run/netns/${namespace}`, '--', ...argv], { timeout: 20_000 })

export async function slowDown(site: LabSite, host: string, way: Way): Promise<void> {
  const ends = endsOf(site, host)
  for (const { namespace, device } of [ends.host, ends.atSwitch])
    await inNamespace(namespace, 'tc', 'qdisc', 'replace', 'dev', device, 'root', ...disciplines[way])
  if (way === 'tbf') await inNamespace(ends.host.namespace, 'iptables', '-w', '-t', 'raw', '-I', 'PREROUTING', '-i', 'eth0', ...drops)
}

export async function speedUp(site: LabSite, host: string, way: Way): Promise<void> {
  const ends = endsOf(site, host)
  for (const { namespace, device } of [ends.host, ends.atSwitch]) await inNamespace(namespace, 'tc', 'qdisc', 'delete', 'dev', device, 'root')
  if (way === 'tbf') await inNamespace(ends.host.namespace, 'iptables', '-w', '-t', 'raw', '-D', 'PREROUTING', '-i', 'eth0', ...drops)
}
