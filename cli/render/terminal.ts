/** A terminal: finished steps scroll up, what runs now is shown live below them, a line for each host. */
import { stripVTControlCharacters } from 'node:util'
import { createLogUpdate } from 'log-update'
import pc from 'picocolors'
import type { HiveEvent } from '../../coordinator/events.ts'
import { duration, shortHost } from './format.ts'
import { errorLines, linesOf } from './lines.ts'
import type { Renderer } from './renderer.ts'

interface Running {
  readonly host: string
  readonly title: string
  readonly since: number
  note: string
}

/** On one line, without what would move the cursor. */
const oneLine = (text: string): string =>
  stripVTControlCharacters(text)
    // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is taken out
    .replace(/[\u0000-\u001f\u007f]+/g, ' ')
    .trim()

export function terminalRenderer(verbose: boolean): Renderer {
  const live = createLogUpdate(process.stderr, { showCursor: true })
  const running = new Map<string, Running>()
  let phase: { readonly name: string; readonly since: number } | undefined
  let timer: NodeJS.Timeout | undefined

  const draw = (): void => {
    const byHost = new Map<string, Running[]>()
    for (const entry of running.values()) byHost.set(entry.host, [...(byHost.get(entry.host) ?? []), entry])
    const width = (process.stderr.columns ?? 80) - 1
    const lines = [...byHost].map(([host, entries]) => {
      const [first] = entries
      const more = entries.length > 1 ? ` (+${entries.length - 1})` : ''
      const text = first === undefined ? '' : oneLine(`${first.title}${more} ${duration(Date.now() - first.since)} ${first.note}`)
      return `${pc.cyan('▸')} ${`${shortHost(host)}  ${text}`.slice(0, width - 2)}`
    })
    // While a phase is planned, or hosts are made, no step of it runs.
    if (lines.length === 0 && phase !== undefined) lines.push(`${pc.cyan('▸')} ${phase.name} ${duration(Date.now() - phase.since)}`)
    if (lines.length === 0) live.clear()
    else live(lines.join('\n'))
  }
  const print = (lines: readonly string[]): void => {
    if (lines.length === 0) return
    // In one write, so that nothing flickers. Not by log-update's own persist, which cuts what is higher than the terminal.
    process.stderr.cork()
    live.clear()
    process.stderr.write(`${lines.join('\n')}\n`)
    draw()
    process.stderr.uncork()
  }
  const follow = (event: HiveEvent): void => {
    if (event.code === 'step.started') running.set(event.stepId, { host: event.host, title: event.title, since: Date.now(), note: '' })
    if (event.code === 'step.finished') running.delete(event.stepId)
    const entry = event.code === 'step.progress' || event.code === 'step.log' ? running.get(event.stepId) : undefined
    if (entry !== undefined && event.code === 'step.progress')
      entry.note = event.total > 0 ? `${event.what} ${Math.floor((event.done / event.total) * 100)} %` : `${event.what} ${event.done} ${event.unit}`
    if (entry !== undefined && event.code === 'step.log') entry.note = event.line
    if (event.code === 'phase.started') phase = { name: event.phase, since: Date.now() }
    if (event.code === 'phase.finished') {
      running.clear()
      phase = undefined
    }
    const busy = running.size > 0 || phase !== undefined
    if (busy && timer === undefined) timer = setInterval(draw, 200).unref()
    if (!busy && timer !== undefined) {
      clearInterval(timer)
      timer = undefined
      live.clear()
    }
  }
  return {
    event: (event) => {
      follow(event)
      print(linesOf(event, verbose))
    },
    result: (_data, text) => {
      live.clear()
      if (text !== '') process.stdout.write(`${text}\n`)
    },
    error: (error) => print(errorLines(error)),
    close: () => {
      if (timer !== undefined) clearInterval(timer)
      live.clear()
    },
  }
}
