/**
 * `npm run bench -- --volumes`: twenty mirrored volumes on three hosts are made, and looked at again. DRBD's kernel and LVM are fakes: each call
 * of their tools starts a Python program that asks one process outside, which serves all hosts. What that costs is measured beside it.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import Table from 'cli-table3'
import type { CommandOutcome } from '../test/lab/harness/lab-site.ts'
import { told } from '../test/lab/harness/plans.ts'
import { image } from './content.ts'
import { MirroredStage } from './mirrored-stage.ts'
import { seconds, verdict } from './report.ts'
import { median } from './statistics.ts'

const volumeCount = 20
const repetitions = 5
/** Calls of a tool, for the time of one. */
const callsMeasured = 20
/** Clock ticks of /proc, each second. */
const ticks = 100

/** Milliseconds, where nothing else is said. */
export interface VolumeFigures {
  readonly volumes: number
  readonly first: Deployed
  /** The median of some. */
  readonly again: Deployed
  /** One call of `drbdsetup status`, and one start of the real drbdsetup, which does nothing but print its version. */
  readonly call: { readonly fake: number; readonly real: number }
}

export interface Deployed {
  /** From the start of hivecoord's process to its end. */
  readonly whole: number
  readonly phase: number
  /** Calls of the fake's tools on the host that made the most. */
  readonly calls: number
  /** Processor time of the process that answers them for all hosts, one after the other. */
  readonly fakeBusy: number
}

export async function measureVolumes(say: (text: string) => void): Promise<VolumeFigures> {
  say('making 3 hosts')
  const stage = await MirroredStage.make({ data: { image, endpoint_mode: 'dnsrr', volumes: Array.from({ length: volumeCount }, mirroredVolume) } })
  try {
    say(`building ${volumeCount} volumes`)
    const first = await deploy(stage)
    say(`built in ${Math.round(first.whole)} ms`)
    const again: Deployed[] = []
    for (let time = 0; time < repetitions; time += 1) again.push(await deploy(stage, 0))
    const middle = again.find(({ whole }) => whole === median(again.map((one) => one.whole)))
    if (middle === undefined) throw new Error('nothing was measured')
    return { volumes: volumeCount, first, again: middle, call: await measureCall(stage) }
  } finally {
    await stage.destroy()
  }
}

/** One in two each of ext4 and xfs, as small as they can be: what is measured is not mkfs. */
const mirroredVolume = (_: unknown, index: number) => {
  const source = `mirrored${String(index + 1).padStart(2, '0')}`
  return { source, target: `/data/${source}`, type: 'volume', drbd: index % 2 === 0 ? { fstype: 'ext4', size: '64M' } : { fstype: 'xfs', size: '320M' } }
}

async function deploy(stage: MirroredStage, changes?: number): Promise<Deployed> {
  const [linesBefore, busyBefore] = [stage.drbd.log().length, processorTime(stage)]
  const run = await stage.site.succeed(['deploy', '--only', 'build-volumes'], { deadline: 900_000 })
  const changed = (run.result as { changed: number }).changed
  if (changes !== undefined && changed !== changes) throw new Error(`${changed} steps changed something, not ${changes}: ${JSON.stringify(run.result)}`)
  return {
    whole: run.milliseconds,
    phase: phaseTime(run),
    calls: mostCalls(stage.drbd.log().slice(linesBefore)),
    fakeBusy: processorTime(stage) - busyBefore,
  }
}

const phaseTime = (run: CommandOutcome): number => told(run, 'phase.finished').find(({ phase }) => phase === 'build-volumes')?.milliseconds ?? Number.NaN

/** Its log has a line `TIME HOST: TOOL ARGUMENTS: CODE` a call. */
function mostCalls(log: string): number {
  const calls = new Map<string, number>()
  for (const [, host = ''] of log.matchAll(/^\S+ (\S+): (?:drbd(?:setup|meta)|lv|vg|pv|mod|lsmod|journalctl|dmesg|dd |blkid|wipefs)/gm))
    calls.set(host, (calls.get(host) ?? 0) + 1)
  return Math.max(0, ...calls.values())
}

/** Of the fake's process and the children that it has waited for. */
function processorTime({ drbd }: MirroredStage): number {
  const pid = readFileSync(join(drbd.folder, 'pid'), 'utf8')
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /, '')
    .split(' ')
  return (fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0) * 1000) / ticks
}

async function measureCall(stage: MirroredStage): Promise<VolumeFigures['call']> {
  const [host = ''] = stage.hives
  const time = async (command: string): Promise<number> => {
    const loop = `begin=$(date +%s%N); for i in $(seq ${callsMeasured}); do ${command} >/dev/null 2>&1; done; echo $(( $(date +%s%N) - begin ))`
    return Number(await stage.site.onHost(host, loop)) / 1e6 / callsMeasured
  }
  return { fake: await time('drbdsetup status --json'), real: await time('/usr/lib/fake-drbd/drbdsetup --version') }
}

/** Milliseconds, for the phase when there is nothing left to do. */
const goal = 1_000

export function renderVolumes({ volumes, first, again, call }: VolumeFigures): string {
  const table = new Table({
    head: [`${volumes} mirrored volumes`, 'hivecoord', 'its phase build-volumes', "calls of the fake's tools on a host", "the fake's process busy"],
    style: { head: [], border: [] },
    colAligns: ['left', 'right', 'right', 'right', 'right'],
  })
  const rows = [
    ['first', first],
    ['again', again],
  ] as const
  for (const [what, { whole, phase, calls, fakeBusy }] of rows) table.push([what, seconds(whole), seconds(phase), calls, seconds(fakeBusy)])
  return [
    table.toString(),
    `one call of the fake's drbdsetup: ${Math.round(call.fake)} ms; one start of the real one: ${Math.round(call.real)} ms`,
    verdict(`build-volumes again, ${volumes} mirrored volumes`, again.phase, goal, seconds),
    '',
  ].join('\n')
}
