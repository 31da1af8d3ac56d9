// SPDX-License-Identifier: Apache-2.0
/** A browser without scripts: keeps cookies, follows redirects, fills in the first form of a page. */

export interface Browser {
  /** Goes to an address and on, until a page is shown. */
  go(
    url: string,
    form?: Readonly<Record<string, string>>,
  ): Promise<{ readonly url: string; readonly status: number; readonly body: string }>;
  /** Signs in: opens the page and sends its form with this address. Resolves with the page at the end. */
  signIn(url: string, email: string): Promise<string>;
}

export function openBrowser(): Browser {
  const cookies = new Map<string, string>();
  async function go(
    url: string,
    form?: Readonly<Record<string, string>>,
  ): Promise<{ url: string; status: number; body: string }> {
    let at = url;
    let body = form === undefined ? undefined : new URLSearchParams(form).toString();
    for (let hop = 0; hop < 10; hop++) {
      const answer = await fetch(at, {
        redirect: "manual",
        method: body === undefined ? "GET" : "POST",
        headers: {
          accept: "text/html",
          cookie: [...cookies].map(([name, value]) => `${name}=${value}`).join("; "),
          ...(body === undefined ? {} : { "content-type": "application/x-www-form-urlencoded" }),
        },
        ...(body === undefined ? {} : { body }),
      });
      for (const line of answer.headers.getSetCookie()) {
        const [, name, value] = /^([^=]+)=([^;]*)/.exec(line)!;
        if (value === "") cookies.delete(name!);
        else cookies.set(name!, value!);
      }
      const location = answer.headers.get("location");
      if (location === null) return { url: at, status: answer.status, body: await answer.text() };
      await answer.arrayBuffer();
      at = new URL(location, at).href;
      body = undefined;
    }
    throw new Error("too many redirects");
  }
  return {
    go,
    async signIn(url, email) {
      const page = await go(url);
      const action = /<form[^>]*action="([^"]+)"/.exec(page.body)?.[1]?.replaceAll("&amp;", "&");
      if (action === undefined) throw new Error(`no form on ${page.url}: ${page.status}\n${page.body}`);
      const hidden = [...page.body.matchAll(/<input[^>]*type="hidden"[^>]*name="([^"]+)"[^>]*value="([^"]*)"/g)].map(
        ([, name, value]) => [name!, value!],
      );
      return (await go(new URL(action, page.url).href, { ...Object.fromEntries(hidden), email })).body;
    },
  };
}
