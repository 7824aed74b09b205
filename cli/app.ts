/** What every command gets: its options, its renderer, its abort signal, and the stage it works on. */
import { resolve } from 'node:path'
import type { Command } from 'commander'
import { openStage, type Stage } from '../coordinator/index.ts'
import { enterNamespace } from './enter-namespace.ts'
import { type OutputKind, type Renderer, rendererFor } from './render/renderer.ts'

export interface GlobalOptions {
  readonly root: string
  readonly stage: string | undefined
  readonly inventory: string | undefined
  readonly contextDir: string | undefined
  readonly output: OutputKind
  readonly verbose: boolean
}

export interface App {
  readonly options: GlobalOptions
  readonly renderer: Renderer
  readonly signal: AbortSignal
  /**
   * Loads the inventory and what belongs to the stage. `writes`: allocations and generated passwords are kept. `makesHosts`:
   * what hosts need before they are made is there, and this process is in their network.
   * `setsUpRegistry`: setup-hosts is among what is done, on all hosts.
   * `plans`: what each phase plans is in the command's own result, and not told to people on the way.
   */
  open(options?: { readonly writes?: boolean; readonly makesHosts?: boolean; readonly plans?: boolean; readonly setsUpRegistry?: boolean }): Promise<Stage>
}

interface GivenOptions {
  readonly root: string
  readonly stage?: string
  readonly inventory?: string
  readonly contextDir?: string
  readonly output: OutputKind
  readonly verbose?: boolean
}

/** The options that every command takes, before its name or (`command`: the one that runs) after it. */
export function globalOptions(program: Command, command: Command | undefined): GlobalOptions {
  const given: GivenOptions = { ...program.opts<GivenOptions>(), ...command?.opts<Partial<GivenOptions>>() }
  return {
    root: resolve(given.root),
    stage: given.stage,
    inventory: given.inventory,
    contextDir: given.contextDir,
    output: given.output,
    verbose: given.verbose === true,
  }
}

export function makeApp(options: GlobalOptions, signal: AbortSignal): App & { close(): void } {
  const renderer = rendererFor(options.output, options.verbose)
  let opened: Promise<Stage> | undefined
  return {
    options,
    renderer,
    signal,
    open: ({ writes = false, makesHosts = false, plans = false, setsUpRegistry = false } = {}) => {
      opened ??= openStage({
        root: options.root,
        stage: options.stage,
        inventoryPath: options.inventory,
        contextDir: options.contextDir,
        writes,
        setsUpRegistry,
        emit: (event) => {
          if (plans && event.code === 'phase.planned' && options.output === 'text') return
          renderer.event(event)
        },
        signal,
      }).then(async (stage) => {
        if (makesHosts) await stage.prepare()
        enterNamespace(stage.site.contextDir)
        for (const notice of stage.site.notices) renderer.event({ code: 'notice', message: notice })
        return stage
      })
      return opened
    },
    close: () => {
      void opened?.then((stage) => stage.close()).catch(() => undefined)
      renderer.close()
    },
  }
}
