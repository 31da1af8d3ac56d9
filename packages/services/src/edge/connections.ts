// SPDX-License-Identifier: Apache-2.0
/**
 * How many connections there may be, and how much one may ask at once.
 *
 * A connection that asks nothing costs some kilobytes, and anybody can open ten thousand. At the limit the one that has
 * been idle longest makes room, so that a newcomer with a request is served whoever fills the house; only when every
 * connection is at work is the newcomer turned away. A request whose headers have not all arrived counts as idle.
 *
 * Pipelining is allowed a little: a client that sends hundreds of requests before it reads the first answer is cut off,
 * since all those answers would wait in memory.
 */
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { Socket } from "node:net";

export interface ConnectionLimits {
  readonly maxConnections: number;
  /** Requests of one connection that may be under way together. */
  readonly maxPipelined: number;
}

export interface Connections {
  /** Connections open at the moment. */
  readonly open: number;
}

/** Watches over a server's connections, also those handed to it by `emit("connection")`. */
export function limitConnections(server: Server, { maxConnections, maxPipelined }: ConnectionLimits, onCut: (reason: "full" | "pipelining") => void): Connections {
  const underWay = new Map<Socket, number>();
  /** Longest idle first. */
  const idle = new Set<Socket>();

  server.prependListener("connection", (socket: Socket) => {
    underWay.set(socket, 0);
    idle.add(socket);
    socket.once("close", () => {
      underWay.delete(socket);
      idle.delete(socket);
    });
    if (underWay.size <= maxConnections) return;
    const [oldest] = idle;
    onCut("full");
    // The newcomer itself, where nobody else is idle.
    (oldest ?? socket).destroy();
    underWay.delete(oldest ?? socket);
    idle.delete(oldest ?? socket);
  });

  server.prependListener("request", ({ socket }: IncomingMessage, response: ServerResponse) => {
    const before = underWay.get(socket);
    if (before === undefined) return;
    underWay.set(socket, before + 1);
    idle.delete(socket);
    response.once("close", () => {
      const count = underWay.get(socket);
      if (count === undefined) return;
      underWay.set(socket, count - 1);
      if (count === 1) idle.add(socket);
    });
    if (before < maxPipelined || socket.destroyed) return;
    onCut("pipelining");
    socket.destroy();
  });

  return {
    get open() {
      return underWay.size;
    },
  };
}
