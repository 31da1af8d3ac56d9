// SPDX-License-Identifier: Apache-2.0
// The part of oidc-provider 9 that this room uses; the package ships no types.
declare module "oidc-provider" {
  import type { IncomingMessage, ServerResponse } from "node:http";

  interface Interaction {
    readonly uid: string;
    readonly params: Readonly<Record<string, unknown>>;
    readonly prompt: { readonly name: string };
  }

  export default class Provider {
    constructor(issuer: string, configuration: object);
    proxy: boolean;
    readonly Client: { prototype: { redirectUriAllowed: (uri: string) => boolean } };
    readonly Grant: new (of: { accountId: string; clientId: string }) => {
      addOIDCScope(scope: string): void;
      save(): Promise<string>;
    };
    callback(): (request: IncomingMessage, response: ServerResponse) => Promise<void>;
    interactionDetails(request: IncomingMessage, response: ServerResponse): Promise<Interaction>;
    interactionFinished(request: IncomingMessage, response: ServerResponse, result: object, options?: object): Promise<void>;
    on(event: string, listener: (...given: unknown[]) => void): this;
  }

  export const interactionPolicy: {
    base(): { get(name: string): { checks: { add(check: object): void } } | undefined; remove(name: string): void };
    Check: {
      new (reason: string, description: string, check: (context: { oidc: { result?: { login?: object } } }) => boolean): object;
      readonly REQUEST_PROMPT: boolean;
      readonly NO_NEED_TO_PROMPT: boolean;
    };
  };
}
