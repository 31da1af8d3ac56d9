// SPDX-License-Identifier: Apache-2.0
/** Settings of the listener: who is in front of it, and how much a client may ask. */
import { isIP } from "node:net";
import { Type, type TSchema } from "typebox";
import { ServiceError } from "../errors.ts";

export interface EdgeConfig {
  /**
   * Addresses or networks (`10.0.0.0/8`) of the reverse proxies in front. Only from these is X-Forwarded-For believed;
   * without them every client behind a proxy would be one client.
   */
  readonly proxies: readonly string[];
  /** Connections at a time. At the limit the longest idle one makes room. */
  readonly maxConnections: number;
  /**
   * Writes (POST) a minute from one client address; 0: as many as it likes. Clients on this machine are never counted, so
   * this means nothing to an installation that listens on loopback without a proxy in front.
   */
  readonly writesPerMinute: number;
}

export const EDGE_DEFAULTS: EdgeConfig = { proxies: [], maxConnections: 16_384, writesPerMinute: 600 };

export const EDGE_SCHEMA: TSchema = Type.Object(
  {
    proxies: Type.Optional(
      Type.Array(Type.String({ pattern: "^[0-9A-Fa-f.:]{2,45}(/[0-9]{1,3})?$" }), {
        maxItems: 64,
        description: "Addresses or networks of reverse proxies whose X-Forwarded-For is believed (default: none).",
      }),
    ),
    maxConnections: Type.Optional(
      Type.Integer({ minimum: 16, maximum: 1_000_000, description: "Connections at a time (default: 16384)." }),
    ),
    writesPerMinute: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: 1_000_000,
        description:
          "Writes a minute from one client address, 0 for no limit; clients on this machine are never counted (default: 600).",
      }),
    ),
  },
  { additionalProperties: false, description: "The listener." },
);

/** The proxies of a configuration, each an address or a network. Throws CONFIG_INVALID. */
export function checkProxies(proxies: readonly string[]): string[] {
  for (const proxy of proxies) {
    const [address, bits, ...rest] = proxy.split("/") as [string, string?, ...string[]];
    const family = isIP(address);
    if (family === 0 || rest.length > 0 || Number(bits ?? 0) > (family === 4 ? 32 : 128)) {
      throw new ServiceError(
        "CONFIG_INVALID",
        `edge.proxies: ${JSON.stringify(proxy.slice(0, 60))} is no address and no network`,
      );
    }
  }
  return [...proxies];
}
