/** `hivecoord deploy` and each phase as a command of its own. */
import type { Command } from 'commander'
import { type PhaseName, phaseNames } from '../../coordinator/events.ts'
import type { App } from '../app.ts'
import { exitCodeOf } from '../exit-codes.ts'
import { count } from '../render/format.ts'
import { findHost } from './find-host.ts'
import { parseLimit } from './limit.ts'
import { chosenPhases, type PhaseOptions, setsUpRegistry, withLimit, withPhaseChoice } from './phase-options.ts'

interface DeployOptions extends PhaseOptions {
  readonly allow?: readonly string[]
  readonly replace?: readonly string[]
  readonly wait?: boolean
}

const descriptions: Readonly<Record<PhaseName, string>> = {
  'build-infra': 'make the hosts and put an agent on each',
  'setup-hosts': 'base system, docker, swarm and registry on the hosts',
  'build-images': 'build the images of services by Ansible roles and push them to the site’s registry',
  'build-networks': 'make the networks',
  'build-volumes': 'make the volumes',
  'deploy-services': 'bring the services to what the inventory says',
  'initialize-services': 'apply initialize_roles inside running services',
}

export function registerDeploy(program: Command, app: () => App): void {
  const run = async (command: string, options: DeployOptions): Promise<void> => {
    const { open, renderer } = app()
    const stage = await open({ writes: true, makesHosts: true, setsUpRegistry: setsUpRegistry(options) })
    const result = await stage.deploy({
      command,
      phases: chosenPhases(options),
      limit: parseLimit(stage.site, options.limit),
      refreshImages: options.pull,
      reapplyRoles: options.reapplyRoles,
      allow: new Set(options.allow ?? []),
      replaced: new Set((options.replace ?? []).map((name) => findHost(stage.site, name).name)),
      awaitTasks: options.wait,
    })
    // Errors of steps were shown where they happened; here they are said once more, where a person looks last.
    if (!result.ok) for (const error of result.errors) renderer.error(error)
    const missing =
      result.unreachable.length === 0 ? '' : `${count(result.unreachable.length, 'host')} did not answer and were left out: ${result.unreachable.join(', ')}`
    renderer.result(result, missing)
    process.exitCode = exitCodeOf(result) ?? process.exitCode
  }
  const allowing = (command: Command): Command =>
    command
      .option(
        '--allow <names>',
        'hosts or volumes that may be destroyed, disks (HOST:/dev/DISK) that may be used although they hold something; separated by commas',
        (text) => text.split(','),
      )
      .option('--no-wait', 'create and change services without waiting until their tasks run')
  const replacing = (command: Command): Command =>
    command.option('--replace <hosts>', 'hosts that are other machines than before, with new disks and ssh keys; separated by commas', (text) =>
      text.split(','),
    )
  const deploy = program.command('deploy').alias('all').description('bring the stage to what the inventory says, phase by phase')
  replacing(allowing(withLimit(withPhaseChoice(deploy)))).action((options: DeployOptions) => run('deploy', options))
  for (const name of phaseNames) {
    const command = allowing(withLimit(program.command(name).description(descriptions[name])))
    if (name === 'build-infra') replacing(command)
    command.action((options: DeployOptions) => run(name, { ...options, only: [name] }))
  }
}
