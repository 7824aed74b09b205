/** Pages beside the dashboard itself: the question before something is done, and short messages. Pure. */
import { html, type Markup, type Part } from './html.ts'
import type { Question } from './operations.ts'
import { document, verbOf } from './render.ts'

export function confirmPage({ kind, name, about, verdict, replicas }: Question, { base, csrf }: { readonly base: string; readonly csrf: string }): string {
  const title = `${verbOf(kind)} ${name}?`
  const reasons = verdict?.reasons.filter(({ severity }) => severity !== 'keeps') ?? []
  return document(
    title,
    base,
    html`<main id="main" tabindex="-1" class="question"><h1>${title}</h1><p>${about}</p>${
      verdict === undefined
        ? undefined
        : html`<p class="${verdict.yes ? 'good' : 'bad'}">${verdict.yes ? 'The guard says that the site goes on.' : 'The guard says no: it will be refused.'}</p><ul>${reasons.map(
            ({ severity, text, evidence }) =>
              html`<li><strong>${severity}</strong> ${text}${evidence.length === 0 ? undefined : html`<br><small>${evidence.join('; ')}</small>`}</li>`,
          )}</ul>`
    }
<form method="post" action="${base}do" autocomplete="off">
<input type="hidden" name="csrf" value="${csrf}"><input type="hidden" name="do" value="${kind}"><input type="hidden" name="name" value="${name}">
${
  kind === 'scale'
    ? html`<p><label for="replicas">Tasks</label> <input id="replicas" name="replicas" type="number" min="0" max="9999" required value="${replicas}"></p>`
    : undefined
}
<p><label for="confirm">Type <strong>${name}</strong> to go on</label> <input id="confirm" name="confirm" required autofocus spellcheck="false" autocapitalize="off"></p>
<p><button type="submit">${verbOf(kind)} ${name}</button> <a class="button" href="${base}">Back</a></p>
</form></main>`,
  )
}

/** `base` undefined: for whoever may not see the dashboard, whose style would not be answered either. */
export function messagePage(title: string, body: Markup, base: string | undefined): string {
  const head: Part = base === undefined ? undefined : html`<link rel="stylesheet" href="${base}style.css">`
  return `<!doctype html>\n${html`<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark"><title>${title}</title>${head}</head><body><main>${body}</main></body></html>`}\n`
}
