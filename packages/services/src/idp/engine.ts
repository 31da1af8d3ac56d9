// SPDX-License-Identifier: Apache-2.0
/** The part of oidc-provider 9 that this room uses, typed: the package ships no types. */
import type { IncomingMessage, ServerResponse } from "node:http";
// @ts-expect-error There are no types to find; what is taken from it is described below.
import * as untyped from "oidc-provider";

/** A sign-in under way. */
export interface Interaction {
  readonly uid: string;
  readonly params: Readonly<Record<string, unknown>>;
}

/** The protocol engine: a koa application that answers node's requests. */
export interface Engine {
  /** Whether X-Forwarded-Proto is believed. */
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

interface Checks {
  new (
    reason: string,
    description: string,
    check: (context: { readonly oidc: { readonly result?: { readonly login?: object } } }) => boolean,
  ): object;
  readonly REQUEST_PROMPT: boolean;
  readonly NO_NEED_TO_PROMPT: boolean;
}

interface Library {
  readonly default: new (issuer: string, configuration: object) => Engine;
  readonly interactionPolicy: {
    base(): { get(name: string): { readonly checks: { add(check: object): void } } | undefined; remove(name: string): void };
    readonly Check: Checks;
  };
}

const library = untyped as Library;

/** Makes the engine. */
export const EngineClass: Library["default"] = library.default;
/** Which questions are put to a person. */
export const interactionPolicy: Library["interactionPolicy"] = library.interactionPolicy;
