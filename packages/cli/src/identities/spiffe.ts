// SPDX-License-Identifier: Apache-2.0
/**
 * SPIFFE: the workload API of the machine's agent gives a JWT-SVID for an audience.
 *
 * One unary gRPC call over the agent's socket (`SPIFFE_ENDPOINT_SOCKET`, as `unix:///path` or `tcp://address:port`; default
 * SPIRE's): HTTP/2 without TLS, `POST /SpiffeWorkloadAPI/FetchJWTSVID` with the header `workload.spiffe.io: true`, messages
 * of `workload.proto`, each behind a flag octet and a length of four:
 *
 *     JWTSVIDRequest   1: audience (string, repeated)
 *     JWTSVIDResponse  1: svids (JWTSVID, repeated)        JWTSVID  1: spiffe_id, 2: svid (the token)
 */
import { existsSync } from "node:fs";
import { connect as connectHttp2 } from "node:http2";
import { connect, type Socket } from "node:net";
import { text } from "@lacre/core/bytes";
import type { Context } from "../context.ts";
import { cannot, checkAudience, type Provider, variable } from "./provider.ts";

const NAME = "spiffe";
const SOCKET = "unix:///tmp/spire-agent/public/api.sock";
const LIMIT_MS = 10_000;
const MAX_BYTES = 1 << 18;

const addressOf = (context: Context): string => {
  const given = variable(context, "SPIFFE_ENDPOINT_SOCKET") ?? SOCKET;
  // cosign takes a bare path too.
  return given.startsWith("/") ? `unix://${given}` : given;
};

function pathOf(address: string): string | undefined {
  return address.startsWith("unix:") ? address.replace(/^unix:(\/\/)?/, "") : undefined;
}

function open(address: string): Socket {
  const path = pathOf(address);
  if (path !== undefined) return connect(path);
  const match = /^tcp:\/\/(\[[0-9a-f:]+\]|[0-9.]+):(\d+)$/i.exec(address);
  if (match === null) throw cannot(NAME, "SPIFFE_ENDPOINT_SOCKET is neither unix:///PATH nor tcp://ADDRESS:PORT");
  return connect({ host: match[1]!.replaceAll(/[[\]]/g, ""), port: Number(match[2]) });
}

export const spiffe: Provider = {
  name: NAME,
  isPresent(context) {
    const path = pathOf(addressOf(context));
    return path === undefined ? variable(context, "SPIFFE_ENDPOINT_SOCKET") !== undefined : existsSync(path);
  },
  async token(context, audience) {
    const answer = await call(addressOf(context), encodeRequest(audience));
    const token = decodeResponse(answer);
    if (token === undefined)
      throw cannot(NAME, "the agent gives this workload no identity", "Register the workload with the agent's server.");
    return checkAudience(NAME, token, audience);
  },
};

function call(address: string, message: Uint8Array): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const socket = open(address);
    const session = connectHttp2("http://localhost", { createConnection: () => socket });
    const timer = setTimeout(() => end(cannot(NAME, "the agent does not answer")), LIMIT_MS);
    const end = (outcome: Error | Buffer): void => {
      clearTimeout(timer);
      session.destroy();
      socket.destroy();
      if (outcome instanceof Error) reject(outcome);
      else resolve(outcome);
    };
    const fail = (cause: Error): void =>
      end(cannot(NAME, `the agent cannot be asked: ${(cause as NodeJS.ErrnoException).code ?? cause.message}`));
    socket.on("error", fail);
    session.on("error", fail);
    const stream = session.request({
      ":method": "POST",
      ":path": "/SpiffeWorkloadAPI/FetchJWTSVID",
      "content-type": "application/grpc",
      te: "trailers",
      "workload.spiffe.io": "true",
    });
    stream.on("error", fail);
    let status = "";
    let length = 0;
    const parts: Buffer[] = [];
    // Without a message the status comes in the first headers.
    for (const event of ["response", "trailers"] as const) {
      stream.on(event, (headers: Readonly<Record<string, unknown>>) => {
        if (typeof headers["grpc-status"] === "string") status = headers["grpc-status"];
      });
    }
    stream.on("data", (part: Buffer) => {
      parts.push(part);
      length += part.length;
      if (length > MAX_BYTES) end(cannot(NAME, "the agent's answer is too large"));
    });
    stream.on("end", () => {
      if (status === "7")
        end(cannot(NAME, "the agent knows no identity for this workload", "Register the workload with the agent's server."));
      else if (status !== "0")
        end(cannot(NAME, `the agent answers with gRPC status ${/^\d{1,3}$/.test(status) ? status : "none"}`));
      else end(Buffer.concat(parts));
    });
    stream.end(Buffer.concat([frameHead(message.length), message]));
  });
}

function frameHead(length: number): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(length, 1);
  return head;
}

function encodeRequest(audience: string): Buffer {
  const value = Buffer.from(audience);
  return Buffer.concat([Buffer.from([0x0a, ...varint(value.length)]), value]);
}

function varint(value: number): number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...varint(value >>> 7)];
}

/** The first token of a framed JWTSVIDResponse; undefined when there is none. Throws TOKEN_MISSING for what is no such message. */
export function decodeResponse(answer: Uint8Array): string | undefined {
  const buffer = Buffer.from(answer.buffer, answer.byteOffset, answer.byteLength);
  if (buffer.length < 5 || buffer[0] !== 0 || buffer.readUInt32BE(1) !== buffer.length - 5)
    throw cannot(NAME, "the agent's answer is no message");
  const [svid] = fieldsOf(buffer.subarray(5)).filter(([number]) => number === 1);
  if (svid === undefined) return undefined;
  const token = fieldsOf(svid[1]).find(([number]) => number === 2)?.[1];
  if (token === undefined) throw cannot(NAME, "the agent's answer has an identity without a token");
  return text(token);
}

/** The fields of a message whose fields all have a length (wire type 2), as these have; others are refused. */
function fieldsOf(message: Uint8Array): readonly (readonly [number, Uint8Array])[] {
  const fields: (readonly [number, Uint8Array])[] = [];
  let at = 0;
  const read = (): number => {
    let value = 0;
    for (let shift = 0; shift < 28; shift += 7) {
      const octet = message[at++];
      if (octet === undefined) break;
      value |= (octet & 0x7f) << shift;
      if (octet < 0x80) return value;
    }
    throw cannot(NAME, "the agent's answer is damaged");
  };
  while (at < message.length) {
    const tag = read();
    if ((tag & 7) !== 2) throw cannot(NAME, "the agent's answer is not of the workload API");
    const length = read();
    if (at + length > message.length) throw cannot(NAME, "the agent's answer is damaged");
    fields.push([tag >>> 3, message.subarray(at, at + length)]);
    at += length;
  }
  return fields;
}
