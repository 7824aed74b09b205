/** Applies a site's roles with Ansible, on this host, to a container of its docker or to the host itself. */
import { access, chmod, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { HiveError } from '../../proto/errors.ts'
import { callbackPlugin, callbackPluginName } from './ansible/callback-plugin.ts'
import { AnsibleOutput, type PlaySummary } from './ansible/output.ts'
import { type AnsibleTarget, ansibleConfig, connections, folderVariables, playbook } from './ansible/playbook.ts'
import { runGroup } from './ansible/process.ts'
import { secretValues } from './ansible/secrets.ts'
import { runFolder, withContent } from './ansible/work-folder.ts'
import { stateFolder } from './state-folder.ts'

export interface ApplyRoles {
  readonly target: AnsibleTarget
  readonly roles: readonly string[]
  /** Digest and path of the uploaded content (AnsibleContent). */
  readonly content: { readonly sha256: string; readonly path: string }
  /** This host's inventory name. */
  readonly hostName: string
  /** Values that must not appear in log lines or errors, beside those that the content names as secrets. */
  readonly secrets: readonly string[]
  readonly signal: AbortSignal
  log(line: string): void
}

/**
 * Throws HiveError 'command-failed' with the failed task and what its module said, 'cancelled' on abort, 'not-found'
 * where Ansible is not installed. Without roles it does nothing.
 */
export async function applyRoles(options: ApplyRoles): Promise<PlaySummary> {
  if (options.roles.length === 0) return { tasks: 0, changed: 0 }
  const root = join(stateFolder(), 'work')
  return withContent(root, options.content.sha256, options.content.path, options.signal, async (content) => {
    const run = await runFolder(root)
    try {
      return await play({ content, run }, options)
    } finally {
      await rm(run, { recursive: true, force: true })
    }
  })
}

async function play(folders: { readonly content: string; readonly run: string }, options: ApplyRoles): Promise<PlaySummary> {
  const { content, run } = folders
  const { target } = options
  await chmod(run, 0o700)
  await mkdir(join(run, 'callback'))
  await mkdir(join(run, 'tmp'))
  const files = {
    'ansible.cfg': ansibleConfig(folders),
    'playbook.json': playbook(target.name, options.roles),
    'connections.json': connections(target, options.hostName),
    'folders.json': folderVariables(folders),
    [`callback/${callbackPluginName}.py`]: callbackPlugin,
  }
  for (const [name, text] of Object.entries(files)) await writeFile(join(run, name), text, { mode: 0o600 })
  const output = new AnsibleOutput(options.log, [...options.secrets, ...(await secretsOf(content))])
  const argv = [
    await ansiblePlaybook(),
    ...['--inventory', join(content, 'inventory/inventory.json')],
    ...['--inventory', join(run, 'connections.json')],
    ...['--extra-vars', `@${join(content, 'extra-vars.json')}`],
    ...['--extra-vars', `@${join(run, 'folders.json')}`],
    join(run, 'playbook.json'),
  ] as [string, ...string[]]
  const code = await runGroup(argv, { cwd: content, env: environment(run), signal: options.signal, onLine: (line) => output.line(line) })
  const error = output.error(code, target.name)
  if (error !== undefined) throw error
  return output.summary()
}

/** What the variables of the content call a password, a token or the like. */
async function secretsOf(content: string): Promise<string[]> {
  const texts = await Promise.all(['inventory/inventory.json', 'extra-vars.json'].map((name) => readFile(join(content, name), 'utf8')))
  return texts.flatMap((text) => secretValues(JSON.parse(text)))
}

const environment = (run: string): Record<string, string> => ({
  ANSIBLE_CONFIG: join(run, 'ansible.cfg'),
  HOME: process.env['HOME'] ?? '/root',
  LC_ALL: 'C.UTF-8',
  PATH: process.env['PATH'] ?? '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
  PYTHONDONTWRITEBYTECODE: '1',
})

async function ansiblePlaybook(): Promise<string> {
  for (const path of ['/usr/bin/ansible-playbook', '/usr/local/bin/ansible-playbook']) {
    const found = await access(path).then(
      () => true,
      () => false,
    )
    if (found) return path
  }
  throw new HiveError('not-found', 'Ansible is not installed on this host', {
    hint: 'install the package "ansible" (it brings the docker connection), or run setup-hosts',
  })
}
