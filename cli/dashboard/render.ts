/** The page's sections as HTML, each by its id, so that those that changed can be sent alone. Pure. */
import type { PhaseView, RunView, StepView } from '../../coordinator/dashboard/run-view.ts'
import { duration, shortHost } from '../render/format.ts'
import { html, type Markup, type Part } from './html.ts'
import type { Action, Mark } from './mark.ts'
import type { ServiceRow } from './service-view.ts'
import { type DashboardView, type HostRow, runResult, type Trouble } from './view.ts'
import { percent, type VolumeRow } from './volume-view.ts'

export type SectionId = 'summary' | 'tiles' | 'operations' | 'troubles' | 'hosts' | 'services' | 'volumes' | 'backups' | 'runs'

/** In the order of the page. */
export function sectionsOf(view: DashboardView): ReadonlyMap<SectionId, Markup> {
  return new Map<SectionId, Markup>([
    ['summary', html`${view.summary}`],
    ['tiles', tiles(view)],
    ['operations', operations(view)],
    ['troubles', troubles(view)],
    ['hosts', hosts(view.hosts)],
    ['services', services(view.services)],
    ['volumes', volumes(view.volumes)],
    ['backups', backups(view)],
    ['runs', runs(view)],
  ])
}

/** `base`: the path below which everything of this page is. `at`: when hosts were last asked. */
export function page(view: DashboardView, { base, at }: { readonly base: string; readonly at: string }): string {
  const sections = sectionsOf(view)
  const section = (id: SectionId): Markup => html`<section id="${id}" class="live">${sections.get(id)}</section>`
  const body = html`<header>
<h1>${view.title} <small>${view.stage}</small></h1>
<p class="state"><span id="state" data-ended="hivecoord dashboard has ended: start it again for a new address">as of</span> <time id="at">${at}</time>
<span class="chip">${view.operates ? 'may operate' : 'read only'}</span></p>
</header>
<p id="summary" class="unseen live" role="status">${sections.get('summary')}</p>
<nav id="tiles" class="live" aria-label="At a glance">${sections.get('tiles')}</nav>
<main id="main" tabindex="-1">
${section('operations')}
${section('troubles')}
<p class="filter"><label for="filter">Show only</label> <input id="filter" type="search" placeholder="name of a host, service, volume" autocomplete="off" spellcheck="false"></p>
${section('hosts')}
${section('services')}
${section('volumes')}
${section('runs')}
${section('backups')}
</main>`
  return document(`${view.title}, ${view.stage}`, base, body, html`<noscript><meta http-equiv="refresh" content="10"></noscript>`)
}

/** Any page of the dashboard; `head`: more for its head. */
export function document(title: string, base: string, body: Markup, head: Part = undefined): string {
  return `<!doctype html>\n${html`<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${title}</title>
<link rel="stylesheet" href="${base}style.css">
<link rel="icon" href="data:,">
<script src="${base}script.js" defer></script>
${head}
</head>
<body>
<a class="skip" href="#main">To the content</a>
${body}
</body>
</html>`}\n`
}

const shown = ({ text, tone }: Mark): Markup => (text === '' ? html`` : html`<span class="mark ${tone}">${text}</span>`)
const list = (items: readonly Part[]): Markup => (items.length === 0 ? html`` : html`<ul>${items.map((item) => html`<li>${item}</li>`)}</ul>`)
const chips = (texts: readonly string[]): Markup => html`${texts.map((text) => html`<span class="chip">${text}</span> `)}`

/** The roles are said once more: on narrow screens rows are not laid out as a table. */
function table(caption: string, head: readonly string[], rows: readonly Markup[]): Markup {
  return html`<table role="table"><caption class="unseen">${caption}</caption>
<thead role="rowgroup"><tr role="row">${head.map((cell) => html`<th role="columnheader" scope="col">${cell}</th>`)}</tr></thead>
<tbody role="rowgroup">${rows}</tbody></table>`
}
const row = (key: string, head: Part, cells: readonly (readonly [label: string, content: Part])[]): Markup =>
  html`<tr role="row" data-key="${key}"><th role="rowheader" scope="row">${head}</th>${cells.map(([label, content]) => html`<td role="cell" data-label="${label}">${content}</td>`)}</tr>`

const verbs: Readonly<Record<Action['kind'], string>> = { restart: 'Restart', scale: 'Scale', rollback: 'Roll back', drain: 'Drain', undrain: 'Undrain' }
export const verbOf = (kind: Action['kind']): string => verbs[kind]

const actions = (all: readonly Action[]): Markup =>
  html`${all.map(({ kind, name }) => html`<a class="button" href="confirm?do=${kind}&amp;name=${encodeURIComponent(name)}" aria-label="${verbs[kind]} ${name}">${verbs[kind]}</a> `)}`

const tiles = ({ tiles: all }: DashboardView): Markup =>
  html`<ul>${all.map(
    ({ name, mark, detail = '', target }) =>
      html`<li><a class="tile ${mark.tone}" href="#${target}"><span>${name}</span> <strong>${mark.text}</strong>${detail === '' ? undefined : html` <small>${detail}</small>`}</a></li>`,
  )}</ul>`

const operations = ({ operations: all }: DashboardView): Markup =>
  all.length === 0
    ? html``
    : html`<h2>Operations</h2><ul class="cards">${all.map(
        ({ id, title, state, lines }) =>
          html`<li data-key="${id}" class="card ${operationTones[state]}"><strong>${title}</strong> ${shown({
            text: { running: 'goes on', done: 'done', failed: 'failed' }[state],
            tone: operationTones[state],
          })}${list(lines)}</li>`,
      )}</ul>`
const operationTones = { running: 'warn', done: 'good', failed: 'bad' } as const

const troubles = ({ troubles: all, doctor }: DashboardView): Markup =>
  html`<h2>To look at</h2>${all.length === 0 ? html`<p>${shown({ text: 'Nothing is wrong', tone: 'good' })}</p>` : html`<ul class="cards">${all.map(trouble)}</ul>`}<p class="quiet">${doctor.text}</p>`

const trouble = ({ tone, title, evidence, advice }: Trouble): Markup =>
  html`<li class="card ${tone}" data-key="${title}">${shown({ text: title, tone })}${advice === '' ? undefined : html`<p>${advice}</p>`}${
    evidence.length === 0 ? undefined : html`<details><summary>Evidence</summary>${list(evidence)}</details>`
  }</li>`

const hosts = (rows: readonly HostRow[]): Markup =>
  html`<h2>Hosts</h2>${table(
    'Hosts, their part in the swarm, and what runs where',
    ['Host', 'Power', 'Swarm', 'Agent', 'Runs', 'Remarks'],
    rows.map(({ name, address, power, swarm, agent, runs: running, remarks, actions: possible }) =>
      row(name, html`${shortHost(name)}<small>${address}</small>`, [
        ['Power', shown(power)],
        ['Swarm', shown(swarm)],
        ['Agent', shown(agent)],
        ['Runs', chips(running)],
        ['Remarks', html`${remarks.map((one) => html`${shown(one)} `)}${actions(possible)}`],
      ]),
    ),
  )}`

const services = (rows: readonly ServiceRow[]): Markup =>
  html`<h2>Services</h2>${rows.length === 0 ? html`<p>none</p>` : table('Services and their tasks', ['Service', 'Tasks', 'Image', 'Where', ''], rows.map(serviceRow))}`

const serviceRow = ({ name, mode, replicas, image, update, ports, tasks, actions: possible }: ServiceRow): Markup =>
  row(name, html`${name}<small>${mode}${ports.length === 0 ? '' : ` ${ports.join(' ')}`}</small>`, [
    ['Tasks', html`${shown(replicas)} ${update === undefined ? undefined : shown(update)}`],
    ['Image', html`<code>${image.replace(/@sha256:.*/, '')}</code>`],
    [
      'Where',
      tasks.length === 0
        ? undefined
        : html`<details><summary>${
            tasks
              .map(({ host }) => host)
              .filter((host, index, all) => host !== '' && all.indexOf(host) === index)
              .join(', ') || 'nowhere'
          }</summary><ul>${tasks.map(
            ({ id, slot, host, state, since, why }) =>
              html`<li data-key="${id}">${slot === '' ? undefined : `${slot}: `}${host} ${shown(state)} ${since} ${why === '' ? undefined : html`<em>${why}</em>`}</li>`,
          )}</ul></details>`,
    ],
    ['', actions(possible)],
  ])

const volumes = (rows: readonly VolumeRow[]): Markup =>
  html`<h2>Mirrored volumes</h2>${rows.length === 0 ? html`<p>none</p>` : table('Mirrored volumes and their copies', ['Volume', 'State', 'Copies'], rows.map(volumeRow))}`

const volumeRow = ({ name, size, state, copies }: VolumeRow): Markup =>
  row(name, html`${name}<small>${size}</small>`, [
    ['State', shown(state)],
    [
      'Copies',
      html`<ul class="copies">${copies.map(
        ({ host, disk, primary, remarks, fill }) =>
          html`<li data-key="${host}">${primary ? html`<strong>${host}</strong> Primary` : host} ${shown(disk)} ${
            fill === undefined
              ? undefined
              : html`<progress max="1000" value="${Math.floor(fill * 1000)}" aria-label="${host}: copy of ${name} filled">${percent(fill)}</progress> ${percent(fill)}`
          } ${remarks.map((one) => html`${shown(one)} `)}</li>`,
      )}</ul>`,
    ],
  ])

const backups = ({ backups: all, nextBackup }: DashboardView): Markup => {
  if (all === undefined || all.length === 0) return html``
  return html`<h2>Backups</h2>${table(
    'Backups',
    ['Backup', 'Service', 'Last', 'Proven by a drill'],
    all.map(({ name, service, last, proven }) =>
      row(name, name, [
        ['Service', service],
        ['Last', shown(last)],
        ['Proven', shown(proven)],
      ]),
    ),
  )}<p class="quiet">${nextBackup === '' ? '' : `next run ${nextBackup}`}</p>`
}

const runs = ({ runs: all, live }: DashboardView): Markup =>
  html`<h2>Runs</h2>${all.length === 0 ? html`<p>none yet from this folder</p>` : html`<ul class="cards">${all.map((one) => run(one, one.runId === live))}</ul>`}`

function run(view: RunView, goesOn: boolean): Markup {
  const { runId, started, changed, milliseconds, errors, phases } = view
  const result: Mark = goesOn ? { text: `${view.command} goes on`, tone: 'warn' } : runResult(view)
  const figures = [
    `${started.slice(0, 16).replace('T', ' ')} UTC`,
    ...(changed === undefined ? [] : [`${changed} changed`]),
    ...(milliseconds === undefined ? [] : [duration(milliseconds)]),
  ]
  return html`<li data-key="${runId}" class="card ${result.tone}"><details${goesOn ? html` open` : undefined}><summary>${shown(result)} <span class="quiet">${figures.join(', ')}</span></summary>
${errors.map(({ host, message, hint }) => html`<p class="bad">${host === undefined ? '' : `${shortHost(host)}: `}${message}${hint === undefined ? '' : ` (${hint})`}</p>`)}
${phases.map(phase)}<p class="quiet">${runId}</p></details></li>`
}

/** So many steps of a phase are shown; those that failed or run come first. */
const mostSteps = 60
const order = { failed: 0, running: 1, skipped: 2, changed: 3, unchanged: 4 } as const
const stepTones = { failed: 'bad', running: 'warn', skipped: 'quiet', changed: 'good', unchanged: 'quiet' } as const

function phase({ name, state, toChange, changed, milliseconds, steps }: PhaseView): Markup {
  const ended = steps.filter(({ state: one }) => one !== 'running').length
  const figures = [
    ...(state === 'running' ? [toChange === undefined ? 'is planned' : `${ended} of ${toChange} steps`] : [`${changed ?? 0} changed`]),
    ...(milliseconds === undefined ? [] : [duration(milliseconds)]),
  ]
  const sorted = steps.toSorted((a, b) => order[a.state] - order[b.state])
  return html`<div data-key="${name}" class="phase"><h3>${name} ${shown({ text: state === 'ok' ? 'ok' : state === 'running' ? 'goes on' : 'failed', tone: state === 'ok' ? 'good' : state === 'running' ? 'warn' : 'bad' })} <small>${figures.join(', ')}</small></h3>${
    state === 'running' && toChange !== undefined && toChange > 0
      ? html`<progress max="${toChange}" value="${Math.min(ended, toChange)}" aria-label="steps of ${name}"></progress>`
      : undefined
  }${steps.length === 0 ? undefined : html`<ul class="steps">${sorted.slice(0, mostSteps).map(step)}</ul>`}${
    steps.length > mostSteps ? html`<p class="quiet">and ${steps.length - mostSteps} more</p>` : undefined
  }</div>`
}

const step = ({ id, host, title, state, text, progress, milliseconds }: StepView): Markup =>
  html`<li data-key="${id}">${shown({ text: state, tone: stepTones[state] })} ${shortHost(host)}: ${title} ${
    progress === undefined ? undefined : html`<progress max="1000" value="${Math.floor(progress * 1000)}" aria-label="${title}"></progress> `
  }<em>${text}</em> ${milliseconds === undefined ? undefined : html`<small>${duration(milliseconds)}</small>`}</li>`
