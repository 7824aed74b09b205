/**
 * `npm run bench -- --failover`: a service with a mirrored volume, and the host that it runs on loses its power. The time until the service
 * answers elsewhere is split where docker's events, DRBD's kernel log and a client say so; all hosts are on this machine and share its clock.
 * DRBD's kernel is a fake: a host is Primary for it once it sees the mount, and it misses a silent peer sooner than DRBD.
 */
import Table from 'cli-table3'
import { nodesReady, power } from '../test/lab/harness/breaking.ts'
import { eventually } from '../test/lab/harness/eventually.ts'
import { image } from './content.ts'
import { MirroredStage } from './mirrored-stage.ts'
import { seconds } from './report.ts'
import { median } from './statistics.ts'

const runsOfEach = 3
const service = 'web'
const volume = 'web_data'
const port = 8080
/** Milliseconds. */
const failover = 180_000
const healing = 120_000

/** In their order; docs/performance.md says what begins and ends each. */
const stretches = ['detect', 'restart', 'promote', 'mount', 'serve'] as const
type Stretch = (typeof stretches)[number]

/** Milliseconds. */
export interface FailoverRun {
  /** Whether the host that went was the swarm's leader. */
  readonly leader: boolean
  /** Containers that were made before one ran. */
  readonly attempts: number
  readonly whole: number
  readonly split: Readonly<Record<Stretch, number>>
}

export async function measureFailover(say: (text: string) => void): Promise<readonly FailoverRun[]> {
  say('making 3 hosts')
  const stage = await MirroredStage.make({
    [service]: {
      image,
      // What it serves is on the volume, and begins with what an earlier task left there.
      command: ['busybox', 'sh', '-c', `busybox hostname >> /data/index.html && exec busybox httpd -f -p ${port} -h /data`],
      endpoint_mode: 'dnsrr',
      ports: [{ target_port: port, published_port: port, protocol: 'tcp', mode: 'host' }],
      stop_grace_period: '1s',
      volumes: [{ source: volume, target: '/data', type: 'volume', drbd: { fstype: 'ext4', size: '64M' } }],
    },
  })
  try {
    await stage.site.succeed(['deploy'])
    const addresses = await addressesOf(stage)
    const runs: FailoverRun[] = []
    for (let time = 0; time < runsOfEach * 2; time += 1) {
      const run = await failOver(stage, addresses, time % 2 === 1)
      say(`${run.leader ? 'the leader' : 'another host'} gone: answers elsewhere after ${(run.whole / 1000).toFixed(1)} s`)
      runs.push(run)
    }
    return runs
  } finally {
    await stage.destroy()
  }
}

async function addressesOf({ site }: MirroredStage): Promise<ReadonlyMap<string, string>> {
  const { hosts } = (await site.succeed(['inventory'])).result as { readonly hosts: readonly { readonly name: string; readonly address: string }[] }
  return new Map(hosts.map(({ name, address }) => [name, address]))
}

async function failOver(stage: MirroredStage, addresses: ReadonlyMap<string, string>, leader: boolean): Promise<FailoverRun> {
  const { site, drbd, hives } = stage
  const host = await bringTo(stage, leader)
  const others = hives.filter((name) => name !== host)
  const [manager = ''] = others
  const linesBefore = drbd.log().length
  await power(site, 'off', host)
  const answered = await firstAnswer(
    stage,
    others.map((name) => addresses.get(name) ?? ''),
  )
  const off = await eventually('the fake DRBD has seen the host go', 10_000, async () => {
    const found = new RegExp(`^(\\S+) ${shortName(host)}: off$`, 'm').exec(drbd.log().slice(linesBefore))?.[1]
    return found === undefined ? undefined : Date.parse(found)
  })
  const target = await hostOf(stage, manager)
  const times = await timesOn(stage, target, host, off)
  const end = { ...times, answered }

  await power(site, 'on', host)
  await nodesReady(site, manager, hives.length)
  await isWhole(stage)
  return splitOf(leader, { off, ...end })
}

interface Times {
  readonly off: number
  readonly down: number
  /** Of each container of the service that was made after that. */
  readonly created: readonly number[]
  /** The container that runs was connected to its network: the first that docker does when it is told to start it. */
  readonly told: number
  readonly primary: number
  readonly started: number
  readonly answered: number
}

function splitOf(leader: boolean, { off, down, created, told, primary, started, answered }: Times): FailoverRun {
  return {
    leader,
    attempts: created.length,
    whole: answered - off,
    split: { detect: down - off, restart: told - down, promote: primary - told, mount: started - primary, serve: answered - started },
  }
}

/** What the swarm, the new host's docker and its kernel log tell of since the host went; milliseconds of the clock. */
async function timesOn(stage: MirroredStage, target: string, gone: string, off: number): Promise<Omit<Times, 'off' | 'answered'>> {
  const events = async (...filters: readonly string[]) => {
    const filter = filters.map((one) => `--filter ${one}`).join(' ')
    const said = await stage.site.onHost(target, `docker events --since ${(off / 1000).toFixed(3)} --until $(date +%s) ${filter} --format '{{json .}}'`)
    return said.split('\n').flatMap((line) => (line === '' ? [] : [JSON.parse(line) as DockerEvent]))
  }
  const [nodes, containers, networks, log] = await Promise.all([
    events('type=node'),
    events('type=container', `label=com.docker.swarm.service.name=${service}`),
    events('type=network', 'event=connect'),
    stage.site.onHost(target, `journalctl -k -o short-unix --since @${Math.floor(off / 1000)}`),
  ])
  const down = nodes.find(({ Actor }) => Actor.Attributes['name'] === shortName(gone) && Actor.Attributes['state.new'] === 'down')
  const created = containers.filter(({ Action }) => Action === 'create')
  const started = containers.findLast(({ Action }) => Action === 'start')
  const told = networks.find(({ Actor }) => Actor.Attributes['container'] === started?.Actor.ID)
  const primaries = [...log.matchAll(new RegExp(`^(\\S+) \\S+ kernel: drbd ${volume}: .*role\\( Secondary -> Primary \\)`, 'gm'))]
  const primary = primaries.map(([, seconds]) => Number(seconds) * 1000).findLast((at) => at >= off)
  if (down === undefined || told === undefined || started === undefined || primary === undefined)
    throw new Error(`${target} does not tell of the failover: ${JSON.stringify({ nodes, containers, networks, log })}`)
  const at = ({ timeNano }: DockerEvent): number => timeNano / 1e6
  return { down: at(down), created: created.map(at), told: at(told), primary, started: at(started) }
}

interface DockerEvent {
  readonly Action: string
  readonly Actor: { readonly ID: string; readonly Attributes: Readonly<Record<string, string>> }
  readonly timeNano: number
}

const shortName = (host: string): string => host.split('.')[0] ?? ''

/** When one of them first answers: milliseconds of the clock. */
async function firstAnswer({ site }: MirroredStage, addresses: readonly string[]): Promise<number> {
  const ask = `while :; do for host in "$@"; do curl -sf -m 1 -o /dev/null "http://$host:${port}/" && { echo "$EPOCHREALTIME"; exit; }; done; sleep 0.05; done`
  const { code, out } = await site.inNetwork(['bash', '-c', ask, 'ask', ...addresses], failover)
  if (code !== 0) throw new Error(`${service} does not answer within ${failover / 1000} s: ${out}`)
  return Number(out) * 1000
}

/** The host that the service's task runs on. */
const hostOf = (stage: MirroredStage, manager: string): Promise<string> =>
  eventually(`${service} runs`, failover, async () => {
    const said = await stage.site.onHost(manager, `docker service ps ${service} --filter desired-state=running --format '{{.Node}} {{.CurrentState}}'`)
    const node = /^(\S+) Running/m.exec(said)?.[1]
    return stage.hives.find((host) => shortName(host) === node)
  })

/** Lets the service run on the swarm's leader, or on another host. Answers that host. */
async function bringTo(stage: MirroredStage, leader: boolean): Promise<string> {
  const [manager = ''] = stage.hives
  const node = (await stage.site.onHost(manager, `docker node ls --format '{{.Hostname}} {{.ManagerStatus}}' | sed -n 's/ Leader$//p'`)).trim()
  const isLeader = (host: string): boolean => shortName(host) === node
  const suits = (host: string): boolean => isLeader(host) === leader
  const now = await hostOf(stage, manager)
  if (suits(now)) return now
  const set = (availability: string): Promise<string> =>
    stage.site.onHost(
      manager,
      stage.hives
        .filter((host) => !suits(host))
        .map((host) => `docker node update --availability ${availability} ${shortName(host)}`)
        .join(' && '),
    )
  await set('drain')
  const there = await eventually(`${service} runs ${leader ? 'on' : 'beside'} the leader`, healing, async () => {
    const host = await hostOf(stage, manager)
    return suits(host) ? host : undefined
  })
  await set('active')
  return there
}

/** Every copy is there again, as each host sees it. */
const isWhole = (stage: MirroredStage): Promise<true> =>
  eventually(`${volume} is whole`, healing, async () => {
    const seen = await Promise.all(stage.hives.map((host) => stage.site.onHost(host, `drbdadm dstate ${volume}`)))
    return seen.every((states) => states.trim() === 'UpToDate/UpToDate/UpToDate')
  })

export function renderFailover(runs: readonly FailoverRun[]): string {
  const table = new Table({ head: ['the host that went', ...stretches, 'whole'], style: { head: [], border: [] } })
  const cell = (values: readonly number[]): string => `${seconds(median(values))} (${seconds(Math.min(...values))} – ${seconds(Math.max(...values))})`
  for (const leader of [false, true]) {
    const of = runs.filter((run) => run.leader === leader)
    table.push([
      `${leader ? 'the leader' : 'not the leader'}, ${of.length} runs`,
      ...stretches.map((stretch) => cell(of.map(({ split }) => split[stretch]))),
      cell(of.map(({ whole }) => whole)),
    ])
  }
  const again = runs.filter(({ attempts }) => attempts > 1).length
  return `${table.toString()}\n\nmedian (range); ${again === 0 ? 'the first container ran each time' : `more than one container was made in ${again} runs`}\n`
}
