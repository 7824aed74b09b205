/** What cloud-init does at a host's first boot: its name, and the admin user that the bootstrap logs in as. Pure. */
import type { Host } from '../../inventory/site.ts'

/** A `#cloud-config` document. JSON is YAML, and needs no rules of quoting of our own. */
export function userData(host: Pick<Host, 'name' | 'shortName' | 'settings'>, publicKey: string): string {
  const { admin, adminUid } = host.settings
  const document = {
    // The operating system's name is the first label; the inventory name is known to all servers by /etc/hosts.
    hostname: host.shortName,
    fqdn: host.name,
    prefer_fqdn_over_hostname: false,
    preserve_hostname: false,
    ssh_pwauth: false,
    ssh_authorized_keys: [publicKey],
    ...(admin === 'root'
      ? { disable_root: false }
      : {
          users: [
            'default',
            {
              name: admin,
              ...(adminUid === undefined ? {} : { uid: adminUid }),
              sudo: 'ALL=(ALL) NOPASSWD:ALL',
              shell: '/bin/bash',
              lock_passwd: true,
              ssh_authorized_keys: [publicKey],
            },
          ],
        }),
  }
  return `#cloud-config\n${JSON.stringify(document, null, 2)}\n`
}
