/** What relay and collector have in common. */
import type { Site } from '../../inventory/site.ts'
import { list } from './rainer-script.ts'

/** Where the agent has its certificate, which bears the host's names. */
const pki = '/etc/hive-agent/pki'

/** Of the queue. EL's policy for SELinux has rsyslog's files below this one's parent. */
export const workFolder = '/var/lib/rsyslog/hive'

/** Docker cuts lines at 16 KiB. */
const longestLine = '64k'

export const globals = (hostName: string, tls: boolean): readonly string[] => [
  '# Made by hivecoord: what is written between these marks is written anew.',
  `global(workDirectory="${workFolder}" maxMessageSize="${longestLine}" preserveFQDN="on" localHostname="${hostName}")`,
  ...(tls
    ? [`global(defaultNetstreamDriverCAFile="${pki}/ca.pem" defaultNetstreamDriverCertFile="${pki}/cert.pem" defaultNetstreamDriverKeyFile="${pki}/key.pem")`]
    : []),
]

/** Parameters of RELP's input and output. */
export const certificates = (peers: string): string =>
  `tls="on" tls.caCert="${pki}/ca.pem" tls.myCert="${pki}/cert.pem" tls.myPrivKey="${pki}/key.pem" tls.authMode="name" ${peers}`

/** Who may send: operators have certificates of the same CA. */
export const relayPeers = (site: Site): string => list(site.hosts.map(({ name }) => name))

export const certificateFile = `${pki}/cert.pem`
