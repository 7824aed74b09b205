/** What somebody else needs to help with a stage, as files. What can't be had is a file that says why. */
import { readFileSync } from 'node:fs'
import { messageOf } from '../../proto/errors.ts'
import type { AgentClient } from '../client/agent-client.ts'
import { fromCallFailure } from '../client/errors.ts'
import { answering } from '../client/site-agents.ts'
import type { Stage } from '../index.ts'
import { mirrorsHere } from '../inventory/mirrored-volumes.ts'
import { inventoryJson } from '../inventory/render-inventory.ts'
import { managersOf } from '../phases/swarm-role.ts'
import { journalFile, runIds } from '../run/journal.ts'
import { version } from '../version.ts'
import { knownSecrets } from './known-secrets.ts'
import { type Redact, redactJson, redactor } from './redaction.ts'
import type { BundleFile } from './write-bundle.ts'

/** Milliseconds for each question. */
const deadline = 20_000
const runsKept = 5
const agentLines = 1_000
const hostLines = 500
/** Of one file: a journal that is longer is cut at its beginning. */
const longest = 4 * 1024 * 1024

export async function collectSupport(stage: Stage, signal: AbortSignal): Promise<readonly BundleFile[]> {
  const redact = redactor(knownSecrets(stage.site, stage.state))
  const parts = [...ofStage(stage, signal), ...ofHosts(stage, signal)]
  const found = await Promise.all(parts.map((part) => collected(part, redact)))
  signal.throwIfAborted()
  const files = [...found, ...runFiles(stage.site.contextDir, redact)].toSorted((a, b) => (a.name < b.name ? -1 : 1))
  return [{ name: 'README.txt', text: redact(readme(stage, files)) }, ...files]
}

interface Part {
  readonly name: string
  /** A text as it is, anything else as JSON. */
  readonly what: () => Promise<unknown>
}

async function collected({ name, what }: Part, redact: Redact): Promise<BundleFile> {
  try {
    const value = await what()
    // Once more as text: what is written beside one another may look like a secret only then.
    const text = typeof value === 'string' ? value : `${JSON.stringify(redactJson(value, redact), null, 2)}\n`
    return { name, text: redact(text.slice(-longest)) }
  } catch (error) {
    return { name: `${name}.missing.txt`, text: redact(`${messageOf(error)}\n`) }
  }
}

function ofStage(stage: Stage, signal: AbortSignal): readonly Part[] {
  const { site } = stage
  return [
    { name: 'versions.json', what: async () => ({ hivecoord: version, node: process.version, platform: `${process.platform} ${process.arch}` }) },
    { name: 'agents.json', what: () => stage.listAgents(signal) },
    { name: 'inventory.json', what: async () => ({ ...inventoryJson(site), contextDir: undefined }) },
    { name: 'status.json', what: () => stage.status(signal, { alerts: true }) },
    {
      name: 'doctor.json',
      what: async () => (await stage.consult(undefined, signal)).map(({ choices, ...finding }) => ({ ...finding, choices: [...choices.keys()] })),
    },
    { name: 'drift.json', what: () => stage.lookForDrift(signal) },
    { name: 'certificates.json', what: () => stage.listCertificates(signal) },
    { name: 'guard.json', what: () => stage.lookAtHosts(signal) },
    {
      name: 'swarm.json',
      what: async () => {
        const asked = await stage.agents.askAll(
          managersOf(site.hosts),
          async ({ swarm, service, network }) => ({
            ...(await swarm.listNodes({}, { deadline, signal })),
            ...(await service.list({}, { deadline, signal })),
            ...(await service.tasks({ service: '', runningOnly: false }, { deadline, signal })),
            ...(await network.list({}, { deadline, signal })),
          }),
          signal,
        )
        return Object.fromEntries([...asked].map(([host, given]) => [host, 'answer' in given ? given.answer : { error: given.error.message }]))
      },
    },
  ]
}

function ofHosts({ site, agents }: Stage, signal: AbortSignal): readonly Part[] {
  const mirrors = mirrorsHere(site)
  return site.hosts.flatMap(({ name, isHive }) => {
    const ask = async <T>(question: (client: AgentClient) => Promise<T>): Promise<T> => {
      const client = await answering(agents, name, signal)
      return question(client).catch((error: unknown) => {
        throw fromCallFailure(error, name, signal)
      })
    }
    const options = { deadline, signal }
    const journal = (unit: string, lines: number) => () =>
      ask(async ({ hostService }) => {
        const said: string[] = []
        for await (const { at, source, line } of hostService.readLog({ unit, lines, follow: false, since: undefined }, options))
          said.push(`${at?.toISOString() ?? ''} ${source}: ${line}`)
        return `${said.join('\n')}\n`
      })
    const parts: readonly Part[] = [
      { name: 'host.json', what: () => ask(({ hostService }) => hostService.info({}, options)) },
      { name: 'units-failed.json', what: () => ask(({ hostService }) => hostService.listUnits({ failedOnly: true }, options)) },
      { name: 'journal-agent.txt', what: journal('hive-agent.service', agentLines) },
      { name: 'journal.txt', what: journal('', hostLines) },
      {
        name: 'docker.json',
        what: () =>
          ask(async (client) => ({ ...(await client.swarm.info({}, options)), ...(await client.container.list({ all: true, service: '' }, options)) })),
      },
      { name: 'docker-images.json', what: () => ask(({ image }) => image.list({}, options)) },
      { name: 'docker-volumes.json', what: () => ask(({ volume }) => volume.list({}, options)) },
      { name: 'runs.json', what: () => ask(({ step }) => step.listRuns({ activeOnly: false, limit: 20 }, options)) },
      ...(isHive
        ? [
            ...(mirrors ? [{ name: 'drbd.json', what: () => ask(({ drbd }) => drbd.list({}, options)) }] : []),
            { name: 'journal-docker.txt', what: journal('docker.service', hostLines) },
            { name: 'supervisor.json', what: () => ask(({ supervisor }) => supervisor.status({}, options)) },
            { name: 'follower.json', what: () => ask(({ follower }) => follower.status({}, options)) },
          ]
        : []),
    ]
    return parts.map((part) => ({ ...part, name: `hosts/${name}/${part.name}` }))
  })
}

/** The last runs of this machine. */
function runFiles(contextDir: string, redact: Redact): readonly BundleFile[] {
  return runIds(contextDir, runsKept).map((runId) => {
    const lines = readFileSync(journalFile(contextDir, runId), 'utf8').slice(-longest).split('\n')
    return { name: `runs/${runId}.jsonl`, text: lines.map((line) => lineOf(line, redact)).join('\n') }
  })
}

function lineOf(line: string, redact: Redact): string {
  try {
    return line === '' ? '' : redact(JSON.stringify(redactJson(JSON.parse(line), redact)))
  } catch {
    return redact(line)
  }
}

const readme = ({ site: { name, stage } }: Stage, files: readonly BundleFile[]): string =>
  [
    `What hivecoord ${version} collected of ${name}, stage ${stage}, ${new Date().toISOString()}.`,
    '',
    'Passwords, keys, tokens and other secrets that the inventory and the context folder have were taken out, and what looks like one.',
    'Names of hosts and services, addresses, and lines of logs are in it: look through it before you give it away.',
    '',
    ...files.map((file) => `${String(Buffer.byteLength(file.text)).padStart(10)}  ${file.name}`),
    '',
  ].join('\n')
