// SPDX-License-Identifier: Apache-2.0
/**
 * Paths as clients write them: an operator's trailing slash in a signing config becomes `//api/v2/...`, sigstore-python
 * ends some paths with a slash. Both mean the plain path. Nothing here redirects: a redirected POST becomes a GET.
 */

/** The request target with duplicate slashes collapsed and one trailing slash removed; the query is left as it is. */
export function normalTarget(target: string): string {
  let path = target;
  if (!path.startsWith("/")) {
    // Absolute form (RFC 9112, section 3.2.2), as proxies send it.
    const origin = /^https?:\/\/[^/?#]*/i.exec(path);
    if (origin === null) return target;
    path = path.slice(origin[0].length);
    if (!path.startsWith("/")) path = `/${path}`;
  }
  const mark = path.indexOf("?");
  const query = mark < 0 ? "" : path.slice(mark);
  if (mark >= 0) path = path.slice(0, mark);
  if (path.includes("//")) path = path.replace(/\/{2,}/g, "/");
  if (path.length > 1 && path.endsWith("/")) path = path.slice(0, -1);
  return path + query;
}

/** The path of a request target, without its query. */
export function pathOf(target: string): string {
  const mark = target.indexOf("?");
  return mark < 0 ? target : target.slice(0, mark);
}

/** Which methods each registered path answers, and in which dialect: asked only when the router found nothing. */
export class RouteTable<Shape> {
  readonly #rows: {
    readonly pattern: RegExp;
    readonly segments: readonly string[];
    readonly methods: Set<string>;
    readonly shape: Shape;
  }[] = [];
  readonly #byUrl = new Map<string, number>();

  add(url: string, methods: readonly string[], shape: Shape): void {
    const known = this.#byUrl.get(url);
    if (known !== undefined) {
      for (const method of methods) this.#rows[known]!.methods.add(method);
      return;
    }
    const segments = url.split("/");
    const source = segments
      .map((segment) => (segment === "*" ? ".*" : segment.startsWith(":") ? "[^/]+" : escape(segment)))
      .join("/");
    this.#byUrl.set(url, this.#rows.length);
    this.#rows.push({ pattern: new RegExp(`^${source}$`), segments, methods: new Set(methods), shape });
  }

  /** The methods of a path, none when no route has it. */
  methods(path: string): readonly string[] {
    const found = new Set<string>();
    for (const row of this.#rows) if (row.pattern.test(path)) for (const method of row.methods) found.add(method);
    return [...found].toSorted();
  }

  /** The dialect of the route that shares most leading segments with the path, or undefined when not even one is shared. */
  nearest(path: string): Shape | undefined {
    const wanted = path.split("/", 12);
    let best: Shape | undefined;
    let most = 1;
    for (const row of this.#rows) {
      let shared = 0;
      while (shared < wanted.length && row.segments[shared] === wanted[shared]) shared++;
      if (shared > most) {
        most = shared;
        best = row.shape;
      }
    }
    return best;
  }
}

function escape(literal: string): string {
  return literal.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
}
