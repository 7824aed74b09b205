/** A real browser without a window, spoken to by its DevTools protocol. */
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { createInterface } from 'node:readline'

const names = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable']

/** Its program; undefined where this machine has none. */
export const chromium = (): string | undefined =>
  (process.env['PATH'] ?? '')
    .split(delimiter)
    .flatMap((folder) => names.map((name) => join(folder, name)))
    .find((path) => existsSync(path))

interface Message {
  readonly id?: number
  readonly method?: string
  readonly params?: Readonly<Record<string, unknown>>
  readonly result?: Readonly<Record<string, unknown>>
  readonly error?: { readonly message: string }
}

export interface Size {
  readonly width: number
  readonly height: number
}

/** One page of a browser of its own, with a profile of its own. */
export class Browser {
  readonly #process: ChildProcess
  readonly #profile: string
  readonly #socket: WebSocket
  readonly #waiting = new Map<number, { resolve(result: Readonly<Record<string, unknown>>): void; reject(error: Error): void }>()
  readonly #listening = new Map<string, (params: Readonly<Record<string, unknown>>) => void>()
  #last = 0
  /** What the page's console, its policy and its scripts complained about. */
  readonly complaints: string[] = []

  private constructor(process: ChildProcess, profile: string, socket: WebSocket) {
    this.#process = process
    this.#profile = profile
    this.#socket = socket
    socket.addEventListener('close', () => {
      for (const { reject } of this.#waiting.values()) reject(new Error('the browser has ended'))
      this.#waiting.clear()
    })
    socket.addEventListener('message', ({ data }) => this.#take(JSON.parse(String(data)) as Message))
  }

  static async start(program: string): Promise<Browser> {
    const profile = mkdtempSync(join(tmpdir(), 'hive-browser-'))
    const child = spawn(
      program,
      [
        '--headless',
        '--no-sandbox',
        '--disable-gpu',
        '--disable-dev-shm-usage',
        '--no-first-run',
        '--disable-background-networking',
        '--remote-debugging-port=0',
        `--user-data-dir=${profile}`,
        'about:blank',
      ],
      { stdio: ['ignore', 'ignore', 'pipe'] },
    )
    const endpoint = await new Promise<string>((resolve, reject) => {
      const said: string[] = []
      createInterface(child.stderr).on('line', (line) => {
        said.push(line)
        const [, url] = /^DevTools listening on (\S+)/.exec(line) ?? []
        if (url !== undefined) resolve(url)
      })
      child.once('error', reject)
      child.once('exit', (code) => reject(new Error(`the browser ended with ${code}: ${said.join('\n')}`)))
    })
    const { host } = new URL(endpoint)
    const targets = (await (await fetch(`http://${host}/json/list`)).json()) as readonly { readonly type: string; readonly webSocketDebuggerUrl: string }[]
    const target = targets.find(({ type }) => type === 'page')
    if (target === undefined) throw new Error('the browser has no page')
    const socket = new WebSocket(target.webSocketDebuggerUrl)
    await new Promise((resolve, reject) => {
      socket.addEventListener('open', resolve, { once: true })
      socket.addEventListener('error', () => reject(new Error('the browser takes no connection')), { once: true })
    })
    const browser = new Browser(child, profile, socket)
    browser.#listening.set('Runtime.exceptionThrown', (params) => browser.complaints.push(JSON.stringify(params)))
    browser.#listening.set('Log.entryAdded', ({ entry }) => browser.complaints.push((entry as { text: string }).text))
    for (const domain of ['Page', 'Runtime', 'Log', 'Accessibility']) await browser.send(`${domain}.enable`)
    return browser
  }

  #take({ id, method, params = {}, result = {}, error }: Message): void {
    if (id === undefined) {
      this.#listening.get(method ?? '')?.(params)
      return
    }
    const waiting = this.#waiting.get(id)
    this.#waiting.delete(id)
    if (error === undefined) waiting?.resolve(result)
    else waiting?.reject(new Error(error.message))
  }

  send(method: string, params: Readonly<Record<string, unknown>> = {}): Promise<Readonly<Record<string, unknown>>> {
    this.#last += 1
    const id = this.#last
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject })
      this.#socket.send(JSON.stringify({ id, method, params }))
    })
  }

  async open(url: string): Promise<void> {
    await this.send('Page.navigate', { url })
  }

  /** The value of an expression in the page; promises are waited for. */
  async value(expression: string): Promise<unknown> {
    const { result, exceptionDetails } = await this.send('Runtime.evaluate', { expression, awaitPromise: true, returnByValue: true })
    if (exceptionDetails !== undefined) throw new Error(`${expression}: ${JSON.stringify(exceptionDetails)}`)
    return (result as { readonly value?: unknown }).value
  }

  /** Returns when the expression is true in whatever page is open. `deadline` in milliseconds. */
  async until(expression: string, deadline = 30_000): Promise<void> {
    const end = performance.now() + deadline
    // While a page is left for another one, expressions have nowhere to be.
    while ((await this.value(expression).catch(() => false)) !== true) {
      if (performance.now() > end) throw new Error(`not seen in the page: ${expression}: ${await this.value('document.body.innerText')}`)
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }

  async press(key: string, text?: string): Promise<void> {
    const codes: Readonly<Record<string, number>> = { Tab: 9, Enter: 13 }
    const about = { key, windowsVirtualKeyCode: codes[key] ?? 0, ...(text === undefined ? {} : { text }) }
    await this.send('Input.dispatchKeyEvent', { type: 'keyDown', ...about })
    await this.send('Input.dispatchKeyEvent', { type: 'keyUp', ...about })
  }

  type(text: string): Promise<unknown> {
    return this.send('Input.insertText', { text })
  }

  async look({ width, height }: Size, scheme: 'light' | 'dark' = 'light'): Promise<void> {
    await this.send('Emulation.setDeviceMetricsOverride', { width, height, deviceScaleFactor: 1, mobile: width < 600 })
    await this.send('Emulation.setEmulatedMedia', { features: [{ name: 'prefers-color-scheme', value: scheme }] })
  }

  /** A PNG of what is seen, or of the whole page. */
  async screenshot(whole = false): Promise<Buffer> {
    const { data } = await this.send('Page.captureScreenshot', { format: 'png', captureBeyondViewport: whole })
    return Buffer.from(String(data), 'base64')
  }

  async close(): Promise<void> {
    const ended = new Promise((resolve) => this.#process.once('exit', resolve))
    // It may be gone before it answers.
    this.send('Browser.close').catch(() => this.#process.kill('SIGKILL'))
    await ended
    this.#socket.close()
    rmSync(this.#profile, { recursive: true, force: true, maxRetries: 5 })
  }
}
