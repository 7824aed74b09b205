/** What ansible-playbook is given for one target: configuration, playbook, and what is known only on this host. Pure. */
import { callbackPluginName } from './callback-plugin.ts'

export type AnsibleTarget =
  | { readonly kind: 'container'; readonly name: string; readonly containerId: string }
  /** This host itself. */
  | { readonly kind: 'host'; readonly name: string }

export interface Folders {
  /** Where the site's content is unpacked. */
  readonly content: string
  /** Of this one run; removed after it. */
  readonly run: string
}

/** ansible.cfg: paths of the unpacked content, quick connections, no files left beside the playbook. */
export function ansibleConfig(folders: Folders): string {
  const { content, run } = folders
  const plugins = ['action', 'filter', 'lookup', 'test'].map((kind) => `${kind}_plugins = ${content}/plugins/${kind}`)
  return `${[
    '[defaults]',
    `roles_path = ${content}/roles:${content}/builtin_roles:${content}/context/roles`,
    `library = ${content}/lib`,
    ...plugins,
    `collections_path = ${content}/.collections:${content}/context/collections`,
    `callback_plugins = ${run}/callback`,
    `stdout_callback = ${callbackPluginName}`,
    `local_tmp = ${run}/tmp`,
    'interpreter_python = auto_silent',
    'force_handlers = True',
    'forks = 5',
    'retry_files_enabled = False',
    'host_key_checking = False',
    'deprecation_warnings = False',
    'localhost_warning = False',
    'nocows = True',
    'nocolor = True',
    '',
    '[connection]',
    'pipelining = True',
    '',
    '[inventory]',
    'enable_plugins = ansible.builtin.yaml',
    'unparsed_is_failed = True',
  ].join('\n')}\n`
}

/**
 * One play. Facts are gathered only where there is a Python already: images without one begin with the role that
 * installs it, which gathers them at its end.
 */
export function playbook(target: string, roles: readonly string[]): string {
  return `${JSON.stringify(
    [
      {
        name: target,
        hosts: target,
        gather_facts: false,
        any_errors_fatal: true,
        pre_tasks: [
          {
            name: 'Look for Python',
            'ansible.builtin.raw': 'command -v python3 || command -v /usr/libexec/platform-python',
            register: 'hive_python_found',
            changed_when: false,
            failed_when: false,
          },
          {
            // Ansible's own search knows only the versions of Python that are older than itself.
            name: 'Use it',
            'ansible.builtin.set_fact': { ansible_python_interpreter: "{{ hive_python_found.stdout_lines | map('trim') | reject('equalto', '') | last }}" },
            when: 'hive_python_found.rc == 0 and ansible_python_interpreter is not defined',
          },
          { name: 'Gather facts', 'ansible.builtin.setup': {}, when: 'hive_python_found.rc == 0' },
        ],
        roles,
      },
    ],
    null,
    1,
  )}\n`
}

/** A second inventory, read after the site's own: how the target and this host are reached from here. */
export function connections(target: AnsibleTarget, hostName: string): string {
  const local = { ansible_connection: 'local' }
  const hosts: Record<string, Record<string, unknown>> = { [hostName]: local }
  if (target.kind === 'container')
    hosts[target.name] = { ansible_connection: 'community.docker.docker', ansible_docker_host: target.containerId, ansible_host: target.containerId }
  return `${JSON.stringify({ all: { hosts } }, null, 1)}\n`
}

/** Variables that name folders: the unpacked places on this host instead of those on the operator's machine. */
export const folderVariables = (folders: Folders): string =>
  `${JSON.stringify(
    {
      hive_root_dir: folders.content,
      hive_context_dir: `${folders.content}/context`,
      hive_playbooks_dir: folders.content,
      hive_temp_dir: `${folders.run}/tmp`,
    },
    null,
    1,
  )}\n`
