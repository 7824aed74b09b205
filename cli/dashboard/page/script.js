/** The page's script: takes sections from the server as they change, without losing what the reader has opened, typed or focused. */
const byId = (id) => document.getElementById(id)
const keyOf = (node) => (node.nodeType === Node.ELEMENT_NODE ? (node.dataset.key ?? (node.id || undefined)) : undefined)
const alike = (one, other) => one.nodeType === other.nodeType && one.nodeName === other.nodeName && keyOf(one) === keyOf(other)

/** Makes `now` what `next` is, node by node. What is open stays open. */
function become(now, next) {
  if (now.nodeType !== Node.ELEMENT_NODE) {
    if (now.nodeValue !== next.nodeValue) now.nodeValue = next.nodeValue
    return
  }
  for (const { name } of [...now.attributes]) if (name !== 'open' && name !== 'hidden' && !next.hasAttribute(name)) now.removeAttribute(name)
  for (const { name, value } of [...next.attributes]) if (name !== 'open' && now.getAttribute(name) !== value) now.setAttribute(name, value)
  becomeInside(now, next)
}

function becomeInside(now, next) {
  const keyed = new Map([...now.childNodes].flatMap((node) => (keyOf(node) === undefined ? [] : [[keyOf(node), node]])))
  let place = now.firstChild
  for (const wanted of [...next.childNodes]) {
    const key = keyOf(wanted)
    const known = key === undefined ? place : keyed.get(key)
    if (known === null || known === undefined || !alike(known, wanted)) {
      now.insertBefore(document.importNode(wanted, true), place)
      continue
    }
    if (known === place) place = place.nextSibling
    else now.insertBefore(known, place)
    become(known, wanted)
  }
  while (place !== null) {
    const after = place.nextSibling
    place.remove()
    place = after
  }
}

const parser = new DOMParser()
function take({ id, html }) {
  const section = byId(id)
  if (section === null) return
  const next = parser.parseFromString(html, 'text/html').body
  becomeInside(section, next)
  filter()
}

function filter() {
  const wanted = (byId('filter')?.value ?? '').trim().toLowerCase()
  for (const row of document.querySelectorAll('tbody tr')) row.hidden = wanted !== '' && !row.textContent.toLowerCase().includes(wanted)
}

let source
function say(text, broken) {
  const state = byId('state')
  if (state.textContent !== text) state.textContent = text
  document.body.classList.toggle('stale', broken)
}

function look() {
  if (source !== undefined || document.hidden) return
  source = new EventSource('events')
  source.addEventListener('section', ({ data }) => take(JSON.parse(data)))
  source.addEventListener('at', ({ data }) => {
    byId('at').textContent = JSON.parse(data)
    say('as of', false)
  })
  source.addEventListener('error', () => {
    const ended = source.readyState === EventSource.CLOSED
    say(ended ? byId('state').dataset.ended : 'not connected, tried again; last seen', true)
  })
}

/** Nobody looks: nothing is asked. */
function rest() {
  source?.close()
  source = undefined
}

if (byId('state') !== null) {
  byId('filter').addEventListener('input', filter)
  document.addEventListener('visibilitychange', () => (document.hidden ? rest() : look()))
  window.addEventListener('pagehide', rest)
  window.addEventListener('pageshow', look)
  look()
}
