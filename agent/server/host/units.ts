/** systemd's units, by systemctl. */
import type { UnitInfo } from '#gen/hive/v1/host.ts'
import { HiveError } from '../../../proto/errors.ts'
import { run } from '../../adapters/command.ts'

const actions = ['start', 'stop', 'restart', 'reload', 'reset-failed']
const properties = { Id: 'name', LoadState: 'load', ActiveState: 'active', SubState: 'sub', Description: 'description' } as const

export async function listUnits(failedOnly: boolean): Promise<UnitInfo[]> {
  const { stdout } = await run(
    ['systemctl', 'list-units', '--all', '--no-legend', '--plain', '--no-pager', '--full', ...(failedOnly ? ['--state=failed'] : [])],
    {
      readOnly: true,
      timeout: 20_000,
    },
  )
  return parseUnits(stdout)
}

/** Columns of `systemctl list-units --plain`: unit, load, active, sub, then the description. */
export function parseUnits(output: string): UnitInfo[] {
  return output.split('\n').flatMap((line) => {
    const found = /^\s*(\S+)\s+(\S+)\s+(\S+)\s+(\S+)\s*(.*)$/.exec(line)
    if (found === null) return []
    const [, name = '', load = '', active = '', sub = '', description = ''] = found
    return [{ name, load, active, sub, description }]
  })
}

/** The unit's state afterwards. Throws HiveError 'invalid-input', 'not-found', or 'command-failed' with the unit's last log lines. */
export async function controlUnit(name: string, action: string, signal: AbortSignal): Promise<UnitInfo> {
  if (!actions.includes(action)) throw new HiveError('invalid-input', `the action must be one of ${actions.join(', ')}`)
  const before = await showUnit(name)
  if (before.load === 'not-found') throw new HiveError('not-found', `there is no unit ${name} here`)
  try {
    await run(['systemctl', '--no-ask-password', action, '--', name], { signal, timeout: 180_000 })
  } catch (error) {
    if (!(error instanceof HiveError) || error.code !== 'command-failed') throw error
    const { stdout } = await run(['journalctl', '-u', name, '-n', '15', '-o', 'cat', '--no-pager'], { readOnly: true, okCodes: [0, 1], timeout: 10_000 })
    throw new HiveError('command-failed', `${action} ${name} failed`, { log: [...error.log, ...stdout.trimEnd().split('\n')], cause: error })
  }
  return showUnit(name)
}

async function showUnit(name: string): Promise<UnitInfo> {
  if (!/^[\w@.:\\-]+$/.test(name) || name.startsWith('-')) throw new HiveError('invalid-input', `"${name}" is no unit name`)
  const { stdout } = await run(['systemctl', 'show', '--property', Object.keys(properties).join(','), '--', name], { readOnly: true, timeout: 20_000 })
  const unit: UnitInfo = { name, load: '', active: '', sub: '', description: '' }
  for (const line of stdout.split('\n')) {
    const [key = '', ...rest] = line.split('=')
    const field = properties[key as keyof typeof properties]
    if (field !== undefined) unit[field] = rest.join('=')
  }
  return unit
}
