/**
 * What the repository server does with backups: one run, restore, drill or import at a time. Dumps come from the agents of the hosts where
 * the services run, in the order of the configuration.
 */
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { Logger } from 'pino'
import { type DumpOutput, BackupEvent_Kind as Kind, type ListBackupsResponse, type RestoreBackupRequest, type StoredFile } from '#gen/hive/v1/backup.ts'
import type { BackupSchedule, BackupTarget, EnsureBackups } from '#gen/hive/v1/steps_backup.ts'
import { HiveError, messageOf } from '../../../proto/errors.ts'
import { followTimeZone } from '../../adapters/time-zone.ts'
import { nextDaily } from '../daily.ts'
import { readBackupConfig } from './config.ts'
import { dumpOutputs } from './dump.ts'
import { event, progress, progressing, reasonOf, type Tell } from './events.ts'
import { fromFiles, storedFile, toRecord } from './facts.ts'
import { assertRestorable } from './load.ts'
import { namesInTar } from './names-in-tar.ts'
import { copyOffsite } from './offsite.ts'
import { type Offered, Peers } from './peers.ts'
import { toPieces, withoutFile } from './pieces.ts'
import { type BackupRecord, type BackupRecords, failed, offsiteName, readRecords, succeeded, writeRecords } from './records.ts'
import { leadingFolders, loadOwn, ownPlace, rehearseOwn } from './restore-own.ts'
import { BackupFolder, type DumpPiece } from './store.ts'
import { chosen, one, ownScript } from './targets.ts'

export interface KeeperOptions {
  readonly configPath: string
  readonly stateDir: string
  readonly pkiDir: string
  /** Inventory name. */
  readonly host: string
  readonly log: Logger
  readonly now: () => Date
  /** Milliseconds after which a service that was not found or a host that broke off is asked again. */
  readonly patience?: number
  /** For tests: the program restic. */
  readonly restic?: string
}

interface Known {
  readonly config: EnsureBackups
  readonly schedule: BackupSchedule
  readonly folder: BackupFolder
}

/** A host may be lost, and its services move, just when it is asked. */
const attempts = 3
const defaultPatience = 45_000

export class BackupKeeper {
  readonly #options: KeeperOptions
  readonly #peers: Peers
  readonly #records: string
  readonly #ended = new AbortController()
  #doing = ''

  constructor(options: KeeperOptions) {
    this.#options = options
    this.#peers = new Peers(options.pkiDir)
    this.#records = join(options.stateDir, 'backups.json')
  }

  /** Aborted when the agent stops: what was asked for goes on without whoever asked, and no longer than the agent. */
  get life(): AbortSignal {
    return this.#ended.signal
  }

  stop(): void {
    this.#ended.abort(new HiveError('cancelled', 'the agent stops'))
  }

  get doing(): string {
    return this.#doing
  }

  /** undefined where this host keeps no backups. */
  async schedule(): Promise<BackupSchedule | undefined> {
    return (await readBackupConfig(this.#options.configPath))?.schedule
  }

  async list(): Promise<ListBackupsResponse> {
    const { schedule, folder } = await this.#known()
    const records = await this.#recordsNow(schedule, folder)
    const backups = await Promise.all(
      schedule.targets.map(async ({ name, service, ext, noFile }) => {
        const latest = await folder.latest(name, ext)
        const files = await Promise.all((await folder.files(name, ext)).map((file) => storedFile(folder, file, latest)))
        return { name, service, ext, files, record: toRecord(records[name]), noFile }
      }),
    )
    await followTimeZone()
    return { backups, folder: folder.folder, next: nextDaily(schedule.at, this.#options.now()), doing: this.#doing, offsite: toRecord(records[offsiteName]) }
  }

  /** What is chosen by names of services and scripts; all where there are none. Throws HiveError 'not-found' for others. */
  async targets(names: readonly string[]): Promise<readonly BackupTarget[]> {
    return chosen((await this.#known()).schedule, names)
  }

  /**
   * Backs up, one after the other; one that fails does not keep the others. Answers the names that failed. `notBefore`: those that succeeded
   * since are left out, so that a run that was cut short goes on.
   */
  run(names: readonly string[], tell: Tell, signal: AbortSignal, notBefore?: Date): Promise<readonly string[]> {
    return this.#alone('a backup', async () => {
      const known = await this.#known()
      const targets = chosen(known.schedule, names)
      await known.folder.tidy()
      const wrong: string[] = []
      let made = 0
      for (const target of targets) {
        const before = (await this.#recordsNow(known.schedule, known.folder))[target.name]
        if (notBefore !== undefined && before?.lastSuccess !== undefined && new Date(before.lastSuccess) >= notBefore) continue
        this.#doing = `backup of ${target.name}`
        if (await this.#backUp(known, target, before, tell, signal)) made += 1
        else wrong.push(target.name)
        signal.throwIfAborted()
      }
      if (made > 0 && known.schedule.offsite !== undefined && !(await this.#copy(known, tell, signal))) wrong.push(offsiteName)
      return wrong
    })
  }

  /** Reads files from end to end. Answers the names of which one is not whole. */
  async verify(
    request: { readonly names: readonly string[]; readonly file: string; readonly allFiles: boolean },
    tell: Tell,
    signal: AbortSignal,
  ): Promise<readonly string[]> {
    const { schedule, folder } = await this.#known()
    const wrong = new Set<string>()
    for (const { name, ext, noFile } of chosen(schedule, request.names)) {
      if (noFile) continue
      try {
        const files = request.allFiles ? await folder.files(name, ext) : [await folder.find(name, ext, request.file)]
        for (const { file, size: total } of files) {
          try {
            tell(event(Kind.STARTED, name, `reading ${file}`, { file }))
            const { size, sha256, content, manifest } = await folder.verify(file, signal, progress(tell, name, total, this.#options.now))
            const what = [content.form === 'tar' ? `${content.entries} entries` : '', manifest ? 'as it was made' : 'no manifest to compare with'].filter(
              (part) => part !== '',
            )
            tell(event(Kind.DONE, name, `whole: ${what.join(', ')}`, { file, size: BigInt(size), sha256 }))
          } catch (error) {
            signal.throwIfAborted()
            wrong.add(name)
            tell(event(Kind.FAILED, name, reasonOf(error), { file }))
          }
        }
      } catch (error) {
        signal.throwIfAborted()
        wrong.add(name)
        tell(event(Kind.FAILED, name, reasonOf(error)))
      }
    }
    return [...wrong]
  }

  /** Throws HiveError. Nothing is touched before the file was read whole and the service's name was compared. */
  async restore(request: RestoreBackupRequest, tell: Tell, signal: AbortSignal): Promise<void> {
    const known = await this.#known()
    const target = one(known.schedule, request.name)
    const holder = target.service === '' ? target.name : target.service
    if (request.confirm !== holder)
      throw new HiveError('blocked', `restoring ${target.name} replaces what ${holder} holds`, { hint: `add --confirm ${holder} to mean it` })
    await this.#alone(`a restore of ${target.name}`, async () => {
      const { folder, config } = known
      const { file, size: total } = await folder.find(target.name, target.ext, request.file)
      tell(event(Kind.STARTED, target.name, `reading ${file} from end to end`, { file }))
      const { size, sha256 } = await folder.verify(file, signal)
      if (request.sha256 !== '' && request.sha256 !== sha256)
        throw new HiveError('conflict', `${file} is not the file any more that the restore was allowed for`)
      const data = progressing(folder.open(file, signal), progress(tell, target.name, total, this.#options.now))
      const onLine = (line: string): void => tell(event(Kind.LINE, target.name, line))
      tell(event(Kind.STARTED, target.name, `restoring ${file}`, { file }))
      if (target.service === '') {
        const script = ownScript(config, target)
        const strip = script.onHost && script.directory !== '' ? leadingFolders(await namesInTar(folder.open(file, signal), 200)) : 0
        await loadOwn({ script, data, size, signal, onLine }, strip)
      } else {
        const host = known.schedule.hosts.find(({ name }) => name === request.host)
        if (host === undefined) throw new HiveError('invalid-input', `there is no host ${request.host}`)
        const start = { service: target.service, script: target.name, sha256, size: BigInt(size), ticket: request.ticket }
        await this.#peers.load(host, 'load', start, data, { signal, onLine })
      }
      tell(event(Kind.DONE, target.name, `restored from ${file}`, { file, size: BigInt(size), sha256 }))
    })
  }

  /** Answers the names that failed. */
  drill(names: readonly string[], tell: Tell, signal: AbortSignal): Promise<readonly string[]> {
    return this.#alone('a drill', async () => {
      const known = await this.#known()
      const wrong: string[] = []
      for (const target of chosen(known.schedule, names)) {
        if (target.noFile) continue
        this.#doing = `drill of ${target.name}`
        try {
          await this.#rehearse(known, target, tell, signal)
        } catch (error) {
          signal.throwIfAborted()
          wrong.push(target.name)
          this.#options.log.error({ backup: target.name }, `the drill failed: ${reasonOf(error)}`)
          tell(event(Kind.FAILED, target.name, reasonOf(error)))
        }
      }
      return wrong
    })
  }

  /** The file's facts, and its bytes. */
  async read(name: string, file: string, signal: AbortSignal): Promise<{ readonly file: StoredFile; readonly bytes: AsyncIterable<Uint8Array> }> {
    const { schedule, folder } = await this.#known()
    const target = one(schedule, name)
    const found = await folder.find(name, target.ext, file)
    return { file: await storedFile(folder, found, await folder.latest(name, target.ext)), bytes: folder.open(found.file, signal) }
  }

  /** A file from elsewhere. Looked at as a dump is; the link moves where it is the newest. */
  import(start: { readonly name: string; readonly file: string | undefined; readonly at: Date }, pieces: AsyncIterable<DumpPiece>): Promise<StoredFile> {
    return this.#alone(`an import of ${start.name}`, async () => {
      const { schedule, folder } = await this.#known()
      const { name, service, ext } = one(schedule, start.name)
      const manifest = await folder.keep({ name, service, ext, host: '', pieces, expected: 0, from: { file: start.file, at: start.at } })
      return storedFile(folder, await folder.find(name, ext, manifest.file), await folder.latest(name, ext))
    })
  }

  async #backUp(known: Known, target: BackupTarget, before: BackupRecord | undefined, tell: Tell, signal: AbortSignal): Promise<boolean> {
    const { name, ext } = target
    const { log, now } = this.#options
    tell(event(Kind.STARTED, name, `backup of ${target.service === '' ? 'the repository server itself' : target.service}`))
    try {
      const manifest = await this.#patiently(signal, tell, name, () => this.#make(known, target, before, tell, signal))
      await this.#record(name, succeeded(before, now(), Number(manifest.size), manifest.sha256))
      log.info({ backup: name, file: manifest.file, size: Number(manifest.size), warnings: manifest.warnings }, 'backup made')
      tell(event(Kind.DONE, name, manifest.file === '' ? 'batch scripts done' : manifest.file, manifest))
    } catch (error) {
      if (signal.aborted) throw error
      const reason = reasonOf(error)
      await this.#record(name, failed(before, now(), reason))
      log.error({ backup: name }, `backup failed: ${reason}`)
      tell(event(Kind.FAILED, name, reason))
      return false
    }
    // Only now: without a new one, the old ones are all there is.
    try {
      for (const file of await known.folder.removeOld(name, ext, target.cleanupDaysBefore))
        tell(event(Kind.REMOVED, name, `${file} was older than ${target.cleanupDaysBefore} days`, { file }))
    } catch (error) {
      tell(event(Kind.WARNING, name, `old files stay: ${messageOf(error)}`))
    }
    return true
  }

  async #make(known: Known, target: BackupTarget, before: BackupRecord | undefined, tell: Tell, signal: AbortSignal) {
    const { name, service, ext } = target
    const [newest] = await known.folder.files(name, ext)
    const expected = newest?.size ?? before?.size ?? 0
    const { host, outputs } = await this.#source(known, target, signal)
    const pieces = toPieces(outputs, name, tell)
    if (target.noFile) return { file: '', size: 0n, sha256: '', warnings: await withoutFile(pieces, name) }
    const kept = await known.folder.keep({ name, service, ext, host, pieces, expected, onProgress: progress(tell, name, expected, this.#options.now) })
    return { file: kept.file, size: BigInt(kept.size), sha256: kept.sha256, warnings: kept.warnings }
  }

  async #source(
    { config, schedule }: Known,
    target: BackupTarget,
    signal: AbortSignal,
  ): Promise<{ readonly host: string; readonly outputs: AsyncIterable<DumpOutput> }> {
    if (target.service === '') {
      const script = ownScript(config, target)
      return { host: this.#options.host, outputs: dumpOutputs(script, ownPlace(script), signal) }
    }
    const { host } = await this.#where(schedule, target, signal)
    return { host: host.name, outputs: this.#peers.dump(host, target.service, target.name, signal) }
  }

  /** The task with the lowest slot; of a global service the one on the first host. */
  async #where(schedule: BackupSchedule, { service, name }: BackupTarget, signal: AbortSignal): Promise<Offered> {
    const { offers, silent } = await this.#peers.offers(schedule.hosts, signal)
    const found = offers.filter((offer) => offer.service === service && offer.script === name).sort((a, b) => a.slot - b.slot)[0]
    if (found !== undefined) return found
    const also = silent.length === 0 ? '' : `; without an answer: ${silent.join('; ')}`
    throw new HiveError('not-found', `no host offers a dump of ${service}: it has no running task, or deploy-services has not told its host of ${name}${also}`)
  }

  /** A service that moves and a host that is lost are looked for again. */
  async #patiently<T>(signal: AbortSignal, tell: Tell, name: string, work: () => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await work()
      } catch (error) {
        const passes = error instanceof HiveError && ['unreachable', 'not-found', 'timeout'].includes(error.code)
        if (signal.aborted || !passes || attempt === attempts) throw error
        tell(event(Kind.WARNING, name, `${messageOf(error)}; once more`))
        await delay(this.#options.patience ?? defaultPatience, undefined, { signal })
      }
    }
  }

  async #copy({ schedule, folder }: Known, tell: Tell, signal: AbortSignal): Promise<boolean> {
    const { log, now, restic } = this.#options
    const { offsite } = schedule
    if (offsite === undefined) return true
    this.#doing = 'the copy elsewhere'
    const before = (await readRecords(this.#records))[offsiteName]
    tell(event(Kind.STARTED, offsiteName, 'copy elsewhere with restic'))
    try {
      const onLine = (line: string): void => tell(event(Kind.LINE, offsiteName, line))
      await copyOffsite(offsite, { folder: folder.folder, signal, onLine, ...(restic === undefined ? {} : { program: restic }) })
      await this.#record(offsiteName, succeeded(before, now(), 0, ''))
      tell(event(Kind.DONE, offsiteName, 'copied'))
      return true
    } catch (error) {
      if (signal.aborted) throw error
      await this.#record(offsiteName, failed(before, now(), reasonOf(error)))
      log.error({ backup: offsiteName }, `the copy elsewhere failed: ${reasonOf(error)}`)
      tell(event(Kind.FAILED, offsiteName, reasonOf(error)))
      return false
    }
  }

  async #rehearse(known: Known, target: BackupTarget, tell: Tell, signal: AbortSignal): Promise<void> {
    const { folder, config, schedule } = known
    const { file } = await folder.find(target.name, target.ext, '')
    tell(event(Kind.STARTED, target.name, `drill with ${file}`, { file }))
    const { size, sha256, content } = await folder.verify(file, signal)
    const onLine = (line: string): void => tell(event(Kind.LINE, target.name, line))
    const data = folder.open(file, signal)
    let found: string
    if (target.service === '') {
      const script = ownScript(config, target)
      assertRestorable(script)
      found = await rehearseOwn({ script, data, size, sha256, signal, onLine }, folder.folder, content.unpacked)
    } else {
      const { host } = await this.#where(schedule, target, signal)
      const start = { service: target.service, script: target.name, sha256, size: BigInt(size), ticket: '' }
      found = await this.#peers.load(host, 'rehearse', start, data, { signal, onLine })
    }
    const at = this.#options.now()
    await folder.proven(file, at)
    const before = (await this.#recordsNow(schedule, folder))[target.name]
    await this.#record(target.name, { ...before, provenAt: at.toISOString() })
    this.#options.log.info({ backup: target.name, file }, `proven by a drill: ${found}`)
    tell(event(Kind.DONE, target.name, found, { file }))
  }

  /** One thing at a time. Throws HiveError 'locked'. */
  async #alone<T>(what: string, work: () => Promise<T>): Promise<T> {
    if (this.#doing !== '') throw new HiveError('locked', `${this.#doing} is under way`, { hint: 'hivecoord backup list tells when it has ended' })
    this.#doing = what
    try {
      return await work()
    } finally {
      this.#doing = ''
    }
  }

  async #known(): Promise<Known> {
    const { configPath, now } = this.#options
    const config = await readBackupConfig(configPath)
    if (config?.schedule === undefined)
      throw new HiveError('not-found', 'this host keeps no backups', { hint: 'the repository server does, once hivecoord setup-hosts has told it so' })
    const { schedule } = config
    return { config, schedule, folder: new BackupFolder({ folder: schedule.folder, owner: schedule.owner, group: schedule.group, now }) }
  }

  /** Of what is configured; what a server that was made anew does not know is told by the files. */
  async #recordsNow({ targets, offsite }: BackupSchedule, folder: BackupFolder): Promise<BackupRecords> {
    const read = await readRecords(this.#records)
    const names = [...targets.map(({ name }) => name), ...(offsite === undefined ? [] : [offsiteName])]
    const records: Record<string, BackupRecord> = {}
    for (const name of names) {
      const known =
        read[name] ??
        (await fromFiles(
          folder,
          targets.find((target) => target.name === name),
        ))
      if (known !== undefined) records[name] = known
    }
    return records
  }

  async #record(name: string, record: BackupRecord): Promise<void> {
    const { schedule, folder } = await this.#known()
    await writeRecords(this.#records, { ...(await this.#recordsNow(schedule, folder)), [name]: record })
  }

  /** Records of what is not configured any more go, and those of a server made anew come from its files. */
  async refreshRecords(): Promise<void> {
    const { schedule, folder } = await this.#known()
    const read = await readRecords(this.#records)
    const records = await this.#recordsNow(schedule, folder)
    if (JSON.stringify(read) !== JSON.stringify(records)) await writeRecords(this.#records, records)
  }
}
