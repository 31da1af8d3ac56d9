// SPDX-License-Identifier: Apache-2.0
/**
 * How many connections there may be, and how much one may ask at once.
 *
 * A connection that asks nothing costs some 30 KiB, and anybody can open ten thousand. At the limit the one that has
 * been idle longest makes room, so that a newcomer with a request is served whoever fills the house; only when every
 * connection is at work is the newcomer turned away. A request whose headers have not all arrived counts as idle.
 *
 * Pipelining is allowed a little, and when very much is under way not at all: a client that sends hundreds of requests
 * before it reads the first answer is cut off, since all those answers would wait in memory. What else of its requests
 * was in the same packet is not looked at any more.
 */
import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerOptions,
  type ServerResponse,
} from "node:http";
import type { Socket } from "node:net";

export interface ConnectionLimits {
  readonly maxConnections: number;
  /** Requests of one connection that may be under way together. */
  readonly maxPipelined: number;
  /** Requests of all connections from which on each may have one. */
  readonly manyRequests: number;
}

export interface LimitedServer {
  readonly server: Server;
  /** Connections open at the moment. */
  readonly open: () => number;
}

/** A server that watches over its connections, also those handed to it by `emit("connection")`. */
export function createLimitedServer(
  handle: RequestListener,
  options: ServerOptions,
  limits: ConnectionLimits,
  onCut: (reason: "full" | "pipelining") => void,
): LimitedServer {
  const { maxConnections, maxPipelined, manyRequests } = limits;
  const underWay = new Map<Socket, number>();
  /** Longest idle first. */
  const idle = new Set<Socket>();
  let requests = 0;

  function forget(socket: Socket): void {
    requests -= underWay.get(socket) ?? 0;
    underWay.delete(socket);
    idle.delete(socket);
  }

  function takeConnection(socket: Socket): void {
    underWay.set(socket, 0);
    idle.add(socket);
    socket.once("close", () => forget(socket));
    if (underWay.size <= maxConnections) return;
    // The newcomer itself, where nobody else is idle.
    const oldest = idle.values().next().value ?? socket;
    onCut("full");
    forget(oldest);
    oldest.destroy();
  }

  function takeRequest(request: IncomingMessage, response: ServerResponse): void {
    const { socket } = request;
    const before = underWay.get(socket);
    // Cut off a moment ago; the parser goes on to the end of what it was given.
    if (before === undefined) return;
    if (before >= (requests < manyRequests ? maxPipelined : 1)) {
      onCut("pipelining");
      forget(socket);
      return void socket.destroy();
    }
    requests++;
    underWay.set(socket, before + 1);
    idle.delete(socket);
    response.once("close", () => {
      const count = underWay.get(socket);
      if (count === undefined) return;
      requests--;
      underWay.set(socket, count - 1);
      if (count === 1) idle.add(socket);
    });
    handle(request, response);
  }

  const server = createServer(options, takeRequest);
  server.prependListener("connection", takeConnection);
  return { server, open: () => underWay.size };
}
