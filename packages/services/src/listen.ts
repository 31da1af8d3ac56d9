// SPDX-License-Identifier: Apache-2.0
/**
 * Where an installation is reached. `localhost` means both loopbacks, because which of them a client tries first differs
 * by machine; an address that this machine lacks is left out. The port is found before anything that depends on it is
 * made (the identity provider's issuer carries it), and before anything else is touched.
 */
import { createServer, type Server, type Socket } from "node:net";
import type { FastifyInstance } from "fastify";
import { ServiceError } from "./errors.ts";

export interface Listen {
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
}

/** Addresses to bind, the port decided, and the URL that goes into documents. */
export interface Place {
  readonly addresses: readonly string[];
  readonly port: number;
  readonly url: string;
}

/** After this long, connections of the second door that still answer are cut, as the edge does with its own. */
const LONGEST_CLOSE_MS = 10_000;
/**
 * Connections that the kernel has accepted and we have not yet. When a burst fills it the next ones are dropped and tried
 * again by the client's kernel after 1, 3, 7 and 15 seconds, so the default of 511 shows as answers of many seconds.
 */
const BACKLOG = 4096;

/** `host:port`, `[v6]:port`, `:port` or `host`. Throws ServiceError ADDRESS_UNUSABLE. */
export function parseListen(text: string): Listen {
  const match = /^(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]*)(?::([0-9]{1,5}))?$/.exec(text);
  const port = Number(match?.[2] ?? "7800");
  if (match === null || port > 65_535) throw new ServiceError("ADDRESS_UNUSABLE", `"${text.slice(0, 80)}" is not host:port`);
  return { host: match[1]!.replaceAll(/[[\]]/g, "") || "localhost", port };
}

/** Finds out whether the place can be had. Throws ADDRESS_TAKEN, ADDRESS_UNUSABLE. */
export async function findPlace(listen: Listen): Promise<Place> {
  const loopback = listen.host === "localhost";
  const wanted = loopback ? ["127.0.0.1", "::1"] : [listen.host];
  // A free port of the first address may be taken on the second: then another one is tried.
  for (let attempt = 0; ; attempt++) {
    const addresses: string[] = [];
    let port = listen.port;
    try {
      for (const host of wanted) {
        const found = await tryAddress(host, port, loopback && addresses.length > 0);
        if (found === undefined) continue;
        port = found;
        addresses.push(host);
      }
      const host = listen.host.includes(":") ? `[${listen.host}]` : listen.host;
      return { addresses, port, url: `http://${host}:${port}` };
    } catch (error) {
      if (listen.port !== 0 || attempt === 20) throw error;
    }
  }
}

/** The port that could be bound; undefined where this machine has no such address and it may be missing. */
async function tryAddress(host: string, port: number, optional: boolean): Promise<number | undefined> {
  const server = createServer();
  try {
    await bind(server, host, port);
  } catch (error) {
    if (optional && ["EADDRNOTAVAIL", "EAFNOSUPPORT", "EINVAL"].includes((error as NodeJS.ErrnoException).code ?? ""))
      return undefined;
    throw refusal(error as NodeJS.ErrnoException, host, port);
  }
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === "object" && address !== null ? address.port : port;
}

function bind(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen({ host, port, exclusive: true, backlog: BACKLOG }, () => {
      server.off("error", reject);
      resolve();
    });
  });
}

function refusal(cause: NodeJS.ErrnoException, host: string, port: number): ServiceError {
  const where = `${host.includes(":") ? `[${host}]` : host}:${port}`;
  if (cause.code === "EADDRINUSE") {
    return new ServiceError("ADDRESS_TAKEN", `The address ${where} is already in use`, {
      detail: `\`lsof -i :${port}\` names the program that listens there`,
      cause,
    });
  }
  return new ServiceError("ADDRESS_UNUSABLE", `The address ${where} cannot be listened on`, { detail: cause.message, cause });
}

/** Opens the doors. Returns what closes them, and the edge: requests under way end, nothing new is taken. */
export async function openDoors(app: FastifyInstance, place: Place): Promise<() => Promise<void>> {
  const [first, second] = place.addresses;
  try {
    await app.listen({ host: first!, port: place.port, backlog: BACKLOG });
  } catch (error) {
    throw refusal(error as NodeJS.ErrnoException, first!, place.port);
  }
  if (second === undefined) return () => app.close();
  // Connections of the second address are handed to the first one's HTTP server: one set of limits and timeouts for both.
  const sockets = new Set<Socket>();
  const door = createServer((socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
    app.server.emit("connection", socket);
  });
  try {
    await bind(door, second, place.port);
  } catch (error) {
    throw refusal(error as NodeJS.ErrnoException, second, place.port);
  }
  return async () => {
    const left = new Promise<void>((resolve) => door.close(() => resolve()));
    setTimeout(() => sockets.forEach((socket) => socket.destroy()), LONGEST_CLOSE_MS).unref();
    await Promise.all([left, app.close()]);
  };
}
