// SPDX-License-Identifier: Apache-2.0
/**
 * The pages of the development provider: plain forms, readable without styles, with a keyboard and aloud. No script, no
 * image, no address but our own. Every value passes `html`, which escapes.
 */
import { createHash } from "node:crypto";

/** Markup that is already escaped. */
export interface Markup {
  readonly markup: string;
}

/** A template in which strings are escaped and markup is taken as it is. */
export function html(parts: TemplateStringsArray, ...values: readonly (string | Markup | undefined)[]): Markup {
  let markup = parts[0]!;
  values.forEach((value, at) => {
    markup += (value === undefined ? "" : typeof value === "string" ? escapeHtml(value) : value.markup) + parts[at + 1]!;
  });
  return { markup };
}

const ENTITIES: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ENTITIES[character]!);
}

const STYLE = `
:root{color-scheme:light dark;font:1.125rem/1.5 system-ui,sans-serif}
body{max-width:34rem;margin:10vh auto 4rem;padding:0 1.25rem}
h1{font-size:1.5rem}
.loud{border:3px solid #b45309;border-radius:.5rem;padding:.75rem 1rem}
.wrong{border-left:.35rem solid #b91c1c;padding-left:.75rem}
label{display:block;margin-top:1.25rem;font-weight:600}
input{display:block;box-sizing:border-box;width:100%;font:inherit;padding:.6rem;margin:.4rem 0 1rem;border:1px solid #6b7280;border-radius:.35rem}
button{font:inherit;padding:.6rem 1.1rem;border-radius:.35rem;border:1px solid #1d4ed8;background:#1d4ed8;color:#fff;margin-right:.5rem}
button.quiet{background:transparent;color:inherit;border-color:#6b7280}
:focus-visible{outline:3px solid #f59e0b;outline-offset:2px}
code{font:1rem/1.5 ui-monospace,monospace;overflow-wrap:anywhere}
output,.code{display:block;font-size:1.25rem;padding:.75rem;border:1px solid #6b7280;border-radius:.35rem;user-select:all}
`;

const STYLE_HASH = createHash("sha256").update(STYLE).digest("base64");

/** Headers of every page. A form may lead to this provider and from there, by redirect, to the client on loopback. */
export const PAGE_HEADERS: Readonly<Record<string, string>> = {
  "content-type": "text/html; charset=utf-8",
  "cache-control": "no-store",
  "referrer-policy": "no-referrer",
  "x-frame-options": "DENY",
  "content-security-policy": `default-src 'none'; style-src 'sha256-${STYLE_HASH}'; base-uri 'none'; frame-ancestors 'none'; form-action 'self' http:`,
};

const WARNING = html`<p class="loud" role="note"><strong>Development identity provider.</strong> It asks for no password and believes whatever address you type. Tokens from here prove nothing to anybody else.</p>`;

function page(title: string, body: Markup): string {
  return html`<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1"><title>${title} · lacre</title><style>${{ markup: STYLE }}</style></head>
<body>
<main>
<h1>${title}</h1>
${body}
</main>
</body>
</html>
`.markup;
}

/** Sign in: one field. `wrong` says what was wrong with the last try. */
export function loginPage(given: { readonly action: string; readonly email: string; readonly wrong?: string }): string {
  const trouble = given.wrong === undefined ? undefined : html`<p class="wrong" id="wrong" role="alert">${given.wrong}</p>`;
  const described = given.wrong === undefined ? undefined : html` aria-describedby="wrong" aria-invalid="true"`;
  return page(
    "Who are you today?",
    html`${WARNING}
<form method="post" action="${given.action}">
${trouble}
<label for="email">E-mail address</label>
<input id="email" name="email" type="email" autocomplete="email" maxlength="254" required autofocus value="${given.email}"${described}>
<button type="submit">Sign in</button>
<button type="submit" class="quiet" name="cancel" value="yes" formnovalidate>Cancel</button>
</form>`,
  );
}

/** Device flow, first page: the code that the terminal shows. */
export function userCodePage(given: {
  readonly action: string;
  readonly xsrf: string;
  readonly userCode: string;
  readonly wrong?: string;
}): string {
  const trouble = given.wrong === undefined ? undefined : html`<p class="wrong" role="alert">${given.wrong}</p>`;
  return page(
    "Connect a terminal",
    html`${WARNING}
<form method="post" action="${given.action}">
${trouble}
<input type="hidden" name="xsrf" value="${given.xsrf}">
<label for="code">The code that your terminal shows</label>
<input id="code" name="user_code" autocomplete="off" autocapitalize="characters" spellcheck="false" maxlength="20" required autofocus value="${given.userCode}">
<button type="submit">Continue</button>
</form>`,
  );
}

/** Device flow, second page: is it your terminal? */
export function confirmPage(given: { readonly action: string; readonly xsrf: string; readonly userCode: string }): string {
  return page(
    "Is this your terminal?",
    html`${WARNING}
<p>Go on only if a terminal of yours shows exactly this code:</p>
<p class="code">${given.userCode}</p>
<form method="post" action="${given.action}">
<input type="hidden" name="xsrf" value="${given.xsrf}">
<input type="hidden" name="user_code" value="${given.userCode}">
<button type="submit" name="confirm" value="yes">Yes, it is mine</button>
<button type="submit" class="quiet" name="abort" value="yes">No</button>
</form>`,
  );
}

/** The code, for a client that could not listen. */
export function codePage(code: string): string {
  return page(
    "Copy this code",
    html`<p>Paste it into the terminal that asked for it. It works once, for two minutes.</p>
<p class="code" tabindex="0" aria-label="Verification code">${code}</p>`,
  );
}

/** An end: good or bad. */
export function messagePage(title: string, message: string): string {
  return page(title, html`<p>${message}</p>`);
}
