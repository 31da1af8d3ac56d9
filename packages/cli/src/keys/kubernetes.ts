// SPDX-License-Identifier: Apache-2.0
/**
 * `k8s://NAMESPACE/NAME`: a secret of the cluster with `cosign.key`, `cosign.password` and `cosign.pub`, as cosign makes it.
 *
 * Which cluster: the current context of KUBECONFIG or ~/.kube/config, else the one this process runs in (its service
 * account). Known: a token, a token file, a client certificate. Programs that print credentials (`exec`), providers and
 * proxies are refused by name, and so is a cluster whose certificate shall not be checked.
 */
import { readFile } from "node:fs/promises";
import { homedir } from "node:os";
import { delimiter, dirname, join, resolve } from "node:path";
import { fromBase64, text, toBase64 } from "@lacre/core/bytes";
import { formatPem, JsonObject, type Json } from "@lacre/core/codec";
import { generateKey } from "@lacre/core/crypto";
import { LacreError } from "@lacre/core/errors";
import { algorithmForNewKey } from "../algorithms.ts";
import type { Context } from "../context.ts";
import { CliError } from "../errors.ts";
import { readNamed } from "../named.ts";
import { sealKey } from "./encrypted.ts";
import { readNewPassword } from "./password.ts";
import { parsePublicKey, readPrivateKey } from "./pem.ts";
import type { KeyProvider } from "./provider.ts";
import { askService, refusal, type ServiceAnswer, type Tls } from "./service.ts";

const SERVICE = "the cluster";
const ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount";

interface Cluster {
  readonly server: string;
  readonly tls: Tls;
  readonly token: string | undefined;
}

function unusable(message: string, hint = "Name a token, a token file or a client certificate in the kubeconfig."): CliError {
  return new CliError("UNSUPPORTED_FLAG", message, { hint });
}

/** The cluster that is meant. Throws USAGE where there is none, UNSUPPORTED_FLAG for ways in that are not known here. */
export async function findCluster(context: Context, account: string = ACCOUNT): Promise<Cluster> {
  const named = context.env["KUBECONFIG"];
  const paths =
    named === undefined || named === "" ? [join(context.env["HOME"] ?? homedir(), ".kube", "config")] : named.split(delimiter);
  const present: { readonly path: string; readonly content: string }[] = [];
  for (const path of paths.filter((one) => one !== "")) {
    const content = await readFile(resolve(context.cwd, path), "utf8").catch(() => undefined);
    if (content !== undefined) present.push({ path: resolve(context.cwd, path), content });
  }
  if (present.length > 1) throw unusable("KUBECONFIG names several files", "Name one: kubectl config view --flatten writes it.");
  if (present[0] !== undefined) return readConfig(present[0].path, present[0].content);
  const host = context.env["KUBERNETES_SERVICE_HOST"];
  if (host === undefined || host === "") {
    throw new CliError("USAGE", "it is not known which cluster is meant", { hint: "Set KUBECONFIG, or run inside the cluster." });
  }
  return {
    server: `https://${host.includes(":") ? `[${host}]` : host}:${context.env["KUBERNETES_SERVICE_PORT"] ?? "443"}`,
    tls: { ca: text(await readNamed(context, join(account, "ca.crt"))) },
    token: text(await readNamed(context, join(account, "token"))).trim(),
  };
}

/** The cluster and the user of a kubeconfig's current context. */
async function readConfig(path: string, content: string): Promise<Cluster> {
  const { parse } = await import("yaml");
  let cluster: JsonObject;
  let user: JsonObject;
  try {
    const config = new JsonObject(parse(content, { maxAliasCount: 10 }) as Json, "kubeconfig");
    const current = config.string("current-context");
    const context = pick(config, "contexts", current).object("context");
    cluster = pick(config, "clusters", context.string("cluster")).object("cluster");
    user = pick(config, "users", context.string("user")).object("user");
  } catch (cause) {
    if (cause instanceof CliError) throw cause;
    // A parser's words could quote a token.
    throw new CliError("FILE_UNREADABLE", `${path} is no kubeconfig with a current context`);
  }
  if (cluster.get("insecure-skip-tls-verify") === true)
    throw unusable(
      "the cluster's certificate is not to be checked, says the kubeconfig",
      "Name its authority: certificate-authority.",
    );
  if (cluster.has("proxy-url")) throw unusable("the kubeconfig names a proxy", "Use a kubeconfig without proxy-url.");
  for (const way of ["exec", "auth-provider", "username", "as"])
    if (user.has(way)) throw unusable(`the kubeconfig's user has ${way}, which is not known here`);
  const base = dirname(path);
  const material = async (holder: JsonObject, name: string): Promise<string | undefined> => {
    const data = holder.optionalString(`${name}-data`);
    if (data !== undefined) return text(fromBase64(data));
    const file = holder.optionalString(name);
    if (file === undefined) return undefined;
    return readFile(resolve(base, file), "utf8").catch((cause: unknown) => {
      throw new CliError("FILE_UNREADABLE", `${file}, which the kubeconfig names, cannot be read`, { cause });
    });
  };
  const tokenFile = user.optionalString("tokenFile");
  const token =
    user.optionalString("token") ??
    (tokenFile === undefined
      ? undefined
      : await readFile(resolve(base, tokenFile), "utf8").then(
          (found) => found.trim(),
          (cause: unknown) => {
            throw new CliError("FILE_UNREADABLE", `${tokenFile}, which the kubeconfig names, cannot be read`, { cause });
          },
        ));
  return {
    server: cluster.string("server").replace(/\/+$/, ""),
    tls: {
      ca: await material(cluster, "certificate-authority"),
      cert: await material(user, "client-certificate"),
      key: await material(user, "client-key"),
      servername: cluster.optionalString("tls-server-name"),
    },
    token,
  };
}

function pick(config: JsonObject, list: string, name: string): JsonObject {
  const found = config.objects(1000, list).find((one) => one.string("name") === name);
  if (found === undefined) throw new LacreError("BAD_JSON", `${list} has none of that name`);
  return found;
}

interface Place {
  readonly namespace: string;
  readonly name: string;
}

function readReference(reference: string): Place {
  const [, namespace, name] =
    /^k8s:\/\/([a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)\/([a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?)$/.exec(reference) ?? [];
  if (namespace === undefined || name === undefined)
    throw new CliError("USAGE", "a secret of the cluster is k8s://NAMESPACE/NAME");
  return { namespace, name };
}

async function ask({ server, tls, token }: Cluster, { namespace, name }: Place, secret?: object): Promise<ServiceAnswer> {
  const folder = `${server}/api/v1/namespaces/${namespace}/secrets`;
  return askService({
    service: SERVICE,
    method: secret === undefined ? "GET" : "POST",
    url: secret === undefined ? `${folder}/${name}` : folder,
    headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
    body: secret,
    tls,
  });
}

function refused(answer: ServiceAnswer, { namespace, name }: Place): CliError {
  const words = answer.body?.get("message");
  if (answer.status === 404)
    return new CliError("KEY_UNREACHABLE", `the cluster has no secret ${namespace}/${name}`, {
      hint: `lacre generate-key-pair k8s://${namespace}/${name} makes it.`,
    });
  return refusal(SERVICE, answer, typeof words === "string" ? words : undefined);
}

/** A member of the secret; undefined where it has none. */
async function readSecret(context: Context, reference: string): Promise<(member: string) => Uint8Array | undefined> {
  const place = readReference(reference);
  const answer = await ask(await findCluster(context), place);
  if (answer.status !== 200 || answer.body === undefined) throw refused(answer, place);
  const { body } = answer;
  return (member) => {
    try {
      const data = body.optionalObject("data");
      return data?.has(member) === true ? data.bytes(member) : undefined;
    } catch {
      // What a damaged secret holds is not shown.
      throw new CliError("KEY_UNREACHABLE", `${member} of the secret ${place.namespace}/${place.name} cannot be read`);
    }
  };
}

function need(octets: Uint8Array | undefined, member: string, reference: string): string {
  if (octets === undefined) throw new CliError("KEY_UNREACHABLE", `the secret ${reference} has no ${member}`);
  try {
    return text(octets);
  } catch {
    throw new CliError("KEY_UNREACHABLE", `${member} of the secret ${reference} is no PEM`);
  }
}

/** The key is in a secret of the cluster. */
export const clusterKeys: KeyProvider = {
  async openSigner(context, reference, algorithm) {
    const member = await readSecret(context, reference);
    const { createKeySigner } = await import("@lacre/core/sign");
    const octets = member("cosign.password") ?? new Uint8Array();
    const key = await readPrivateKey(context, {
      name: reference,
      pem: need(member("cosign.key"), "cosign.key", reference),
      password: { octets, source: "the secret itself" },
    });
    return createKeySigner(key, algorithm);
  },

  async readPublicKey(context, reference) {
    const member = await readSecret(context, reference);
    return parsePublicKey({ name: reference, pem: need(member("cosign.pub"), "cosign.pub", reference) });
  },

  async generate(context, reference, asked) {
    const place = readReference(reference);
    const cluster = await findCluster(context);
    const algorithm = asked ?? algorithmForNewKey(undefined);
    const before = await ask(cluster, place);
    if (before.status === 200)
      throw new CliError("FILE_EXISTS", `the cluster has a secret ${place.namespace}/${place.name} already`, {
        hint: "Choose another name.",
      });
    if (before.status !== 404) throw refused(before, place);
    const password = await readNewPassword(context);
    const { pkcs8, publicKey } = generateKey(algorithm.keyType, algorithm.rsaBits || undefined);
    const base64 = (value: string | Uint8Array): string => toBase64(Buffer.from(value));
    const answer = await ask(cluster, place, {
      apiVersion: "v1",
      kind: "Secret",
      metadata: { name: place.name, namespace: place.namespace },
      type: "Opaque",
      immutable: true,
      data: {
        "cosign.key": base64(await sealKey(pkcs8, password.octets)),
        "cosign.password": base64(password.octets),
        "cosign.pub": base64(formatPem("PUBLIC KEY", publicKey.spki)),
      },
    });
    if (answer.status !== 200 && answer.status !== 201) throw refused(answer, place);
    return publicKey;
  },
};
