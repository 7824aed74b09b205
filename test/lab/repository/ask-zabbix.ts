/** The API of the site's Zabbix, asked on the repository server itself: its web UI listens nowhere else. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { RepositoryLab } from './lab.ts'

export type AskZabbix = <T>(method: string, params: unknown) => Promise<T>

/** Logs in at the first question. Throws with what Zabbix says. */
export function askZabbix(lab: RepositoryLab): AskZabbix {
  const call = async (method: string, params: unknown, token?: string): Promise<unknown> => {
    const body = JSON.stringify({ jsonrpc: '2.0', method, params, id: 1 })
    const header = token === undefined ? '' : `-H 'authorization: Bearer ${token}'`
    const said = await lab.onRepository(
      `curl -s -m 20 -H 'content-type: application/json-rpc' ${header} -d '${body.replaceAll("'", "'\\''")}' http://127.0.0.1:10052/api_jsonrpc.php`,
      30_000,
    )
    const { result, error } = JSON.parse(said) as { result?: unknown; error?: { data: string } }
    if (error !== undefined) throw new Error(error.data)
    return result
  }
  let token: string | undefined
  return async <T>(method: string, params: unknown): Promise<T> => {
    token ??= String(await call('user.login', { username: 'Admin', password: readFileSync(join(lab.site.contextDir, 'zabbix_admin_password'), 'utf8').trim() }))
    return (await call(method, params, token)) as T
  }
}
