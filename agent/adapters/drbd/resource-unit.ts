/** drbd-resource@V.service: the resource is up before docker starts and goes down after docker has stopped, and docker waits for none for long. */
import pLimit from 'p-limit'
import { exists, readText, removeFile, rootFile, writeFileAtomic } from '../files.ts'
import { sharedAnswer } from '../shared-answer.ts'
import { daemonReload, enableForNextBoot, resetFailed, systemctl } from '../systemd.ts'
import { storageCommand } from './tools.ts'

const unitFolder = '/etc/systemd/system'
const templateFile = `${unitFolder}/drbd-resource@.service`
export const unitOf = (name: string): string => `drbd-resource@${name}.service`

/**
 * Wanted by the system, not required by docker: one that fails holds nobody up. Disks may come some seconds after the boot, so it tries
 * again, for less than docker could be missed. Its own configuration file keeps it apart from other resources' mistakes. $$ is systemd's $.
 */
export const unitText = `# Made by hive; changes are overwritten.
[Unit]
Description=Mirrored volume %i
After=network-online.target local-fs.target lvm2-monitor.service
Wants=network-online.target
Before=docker.service
ConditionPathExists=/etc/drbd.d/hive/%i.conf

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh -c 'for try in 1 2 3 4 5 6 7 8 9 10; do drbdadm -c /etc/drbd.d/hive/"$$1".conf adjust "$$1" && exit 0; sleep 1; done; exit 1' sh %i
ExecStop=/bin/sh -c 'exec drbdadm -c /etc/drbd.d/hive/"$$1".conf down "$$1"' sh %i
TimeoutStartSec=20
TimeoutStopSec=30

[Install]
WantedBy=multi-user.target
`

const wantsLink = (name: string): string => `${unitFolder}/multi-user.target.wants/${unitOf(name)}`
/** As hive-builder enabled it: docker does not start when it fails. */
const requiresLink = (name: string): string => `${unitFolder}/docker.service.requires/${unitOf(name)}`

const states = sharedAnswer(async () => {
  const { stdout } = await storageCommand(['systemctl', 'list-units', '--all', '--plain', '--no-legend', '--full', 'drbd-resource@*.service'], {
    readOnly: true,
  })
  return parseUnits(stdout)
})

/** Lines of `systemctl list-units --plain --no-legend`: name → its active state. */
export function parseUnits(text: string): ReadonlyMap<string, string> {
  return new Map(
    text.split('\n').flatMap((line): [string, string][] => {
      const [name, , active] = line.trim().split(/\s+/)
      return name === undefined || active === undefined ? [] : [[name, active]]
    }),
  )
}

/** What is to be done for the unit of a resource, in words; empty: nothing. */
export async function unitDifferences(name: string, signal?: AbortSignal): Promise<readonly string[]> {
  const [template, enabled, required, units] = await Promise.all([
    readText(templateFile),
    exists(wantsLink(name)),
    exists(requiresLink(name)),
    states.get(signal),
  ])
  return [
    ...(template === unitText ? [] : ['drbd-resource@.service differs']),
    ...(enabled ? [] : [`${unitOf(name)} is not enabled`]),
    ...(required ? [`docker requires ${unitOf(name)}`] : []),
    ...(units.get(unitOf(name)) === 'active' ? [] : [`${unitOf(name)} is not active`]),
  ]
}

/** Volumes are made side by side, and the template is one file. */
const oneAtATime = pLimit(1)

/** Starting it runs `drbdadm adjust` once more, with nothing left to do; a unit that is active is not started again. */
export async function applyUnit(name: string, signal: AbortSignal): Promise<void> {
  await oneAtATime(async () => {
    const differs = (await readText(templateFile)) !== unitText
    const required = await exists(requiresLink(name))
    if (differs) await writeFileAtomic(templateFile, unitText, rootFile)
    if (required) await removeFile(requiresLink(name))
    if (differs || required) await daemonReload(signal)
  })
  if (!(await exists(wantsLink(name)))) await enableForNextBoot(unitOf(name), signal)
  states.forget()
  const state = (await states.get(signal)).get(unitOf(name))
  if (state === 'failed') await resetFailed(unitOf(name), signal)
  if (state !== 'active') await systemctl('start', unitOf(name), signal)
  states.forget()
}
