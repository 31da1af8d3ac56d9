// SPDX-License-Identifier: Apache-2.0
// Trust by other means than a file of ours: what cosign makes of the same flags and variables, and what python-tuf thinks
// of repositories with one thing wrong.
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { homeEnv, type Journey, LACRE, ROOT, run, succeed } from "../harness.ts";
import { createSigner, Repository } from "../tuf/repository.ts";
import { cosignPath, part, type Setting } from "./clients/index.ts";
import { cosign26Path } from "./clients/v1.ts";

const pem = (label: string, base64: string): string =>
  `-----BEGIN ${label}-----\n${(base64.match(/.{1,64}/g) ?? []).join("\n")}\n-----END ${label}-----\n`;

interface Parts {
  readonly ca: string;
  readonly tsa: string;
  readonly rekor: string;
  readonly ct: string;
  readonly logs: readonly { readonly url: string; readonly key: string }[];
}

/** The installation's keys and certificates in files of their own. */
function takeApart(setting: Setting, work: string): Parts {
  const root = JSON.parse(readFileSync(join(setting.trust, "trusted_root.json"), "utf8"));
  const write = (name: string, content: string): string => {
    const path = join(work, `trust-${name}`);
    writeFileSync(path, content);
    return path;
  };
  const chain = (authority: { certChain: { certificates: { rawBytes: string }[] } }): string =>
    authority.certChain.certificates.map(({ rawBytes }) => pem("CERTIFICATE", rawBytes)).join("");
  const logs = (root.tlogs as { baseUrl: string; publicKey: { rawBytes: string; keyDetails: string } }[]).map((log, at) => ({
    url: log.baseUrl,
    key: write(`log${at}.pub`, pem("PUBLIC KEY", log.publicKey.rawBytes)),
    isV1: log.publicKey.keyDetails.includes("ECDSA"),
  }));
  return {
    ca: write("ca.pem", chain(root.certificateAuthorities[0])),
    tsa: write("tsa.pem", chain(root.timestampAuthorities[0])),
    ct: write("ct.pub", pem("PUBLIC KEY", root.ctlogs[0].publicKey.rawBytes)),
    rekor: logs.find(({ isV1 }) => isV1)!.key,
    logs,
  };
}

/** JSON with its lists in one order: cosign's come out of a map. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted).toSorted((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(
    Object.entries(value)
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, member]) => [name, sorted(member)]),
  );
}

function same(ours: string, theirs: string): void {
  const [a, b] = [ours, theirs].map((text) => sorted(JSON.parse(text)));
  if (!isDeepStrictEqual(a, b)) throw new Error(`ours:   ${JSON.stringify(a)}\ntheirs: ${JSON.stringify(b)}`);
}

/** The same flags to cosign and to us, the same documents from both. */
export function cosignTrustJourneys(setting: Setting, work: string, artifact: string): Journey[] {
  const cosign = cosignPath();
  const cosign26 = cosign26Path();
  const env = homeEnv(setting.home);
  const lacre = [process.execPath, LACRE] as const;
  const parts = takeApart(setting, work);
  const path = (name: string): string => join(work, `trust-${name}`);
  const policy = ["--certificate-identity", setting.identity, "--certificate-oidc-issuer", setting.issuer];
  const services = ["--fulcio-url", setting.url, "--rekor-url", setting.url, "--use-signing-config=false"];
  const journeys: Journey[] = [
    {
      name: "trust: cosign and lacre make the same trusted root of the same flags, and each verifies with the other's",
      async go() {
        const flags = [
          "trusted-root",
          "create",
          "--fulcio",
          `url=${setting.url},certificate-chain=${parts.ca}`,
          "--tsa",
          `url=${setting.url}/api/v1/timestamp,certificate-chain=${parts.tsa}`,
          "--ctfe",
          `url=${setting.url},public-key=${parts.ct},start-time=2024-01-01T00:00:00.500Z`,
          ...parts.logs.flatMap(({ url, key }) => [
            "--rekor",
            `url=${url},public-key=${key},start-time=2024-01-01T00:00:00Z,end-time=2099-01-01T00:00:00Z,origin=${new URL(url).hostname}`,
          ]),
        ];
        const [ours, theirs] = [path("root-ours.json"), path("root-theirs.json")];
        await succeed(lacre[0], [lacre[1], ...flags, "--out", ours], { env });
        await succeed(cosign, [...flags, "--out", theirs], { env });
        same(readFileSync(ours, "utf8"), readFileSync(theirs, "utf8"));
        const bundle = path("made.json");
        const services = ["--signing-config", join(setting.trust, "signing_config.v0.2.json")];
        const sign = ["sign-blob", "--bundle", bundle, ...services, "--trusted-root", join(setting.trust, "trusted_root.json")];
        await succeed(lacre[0], [lacre[1], ...sign, "--yes", "--identity-token", await setting.token(), artifact], { env });
        await succeed(cosign, ["verify-blob", "--bundle", bundle, ...policy, "--trusted-root", ours, artifact], { env });
        await succeed(lacre[0], [lacre[1], "verify-blob", "--bundle", bundle, ...policy, "--trusted-root", theirs, artifact], {
          env,
        });
      },
    },
    {
      name: "trust: cosign and lacre make the same signing config of the same flags",
      async go() {
        const facts = "start-time=2024-01-01T00:00:00Z,operator=me";
        const flags = [
          "signing-config",
          "create",
          "--fulcio",
          `url=https://f.example,api-version=1,${facts},end-time=2025-01-01T00:00:00Z`,
          "--rekor",
          `url=https://r2.example,api-version=2,${facts}`,
          "--rekor",
          `url=https://r1.example,api-version=1,${facts}`,
          "--rekor-config",
          "EXACT:2",
          "--oidc-provider",
          `url=https://o.example,api-version=1,${facts}`,
          "--tsa",
          `url=https://t.example/api,api-version=1,${facts}`,
          "--tsa-config",
          "ANY",
        ];
        const ours = await succeed(lacre[0], [lacre[1], ...flags], { env });
        const theirs = await succeed(cosign, flags, { env });
        same(ours.stdout, theirs.stdout);
      },
    },
    {
      name: "trust: cosign 2.6 and lacre sign with the same addresses, and verify each other's old bundles by cosign's variables",
      async go() {
        const variables = {
          ...env,
          SIGSTORE_ROOT_FILE: parts.ca,
          SIGSTORE_REKOR_PUBLIC_KEY: parts.rekor,
          SIGSTORE_CT_LOG_PUBLIC_KEY_FILE: parts.ct,
          SIGSTORE_TSA_CERTIFICATE_FILE: parts.tsa,
        };
        const [ours, theirs] = [path("old-ours.json"), path("old-theirs.json")];
        const token = async (): Promise<string[]> => ["--yes", "--identity-token", await setting.token()];
        await succeed(
          lacre[0],
          [lacre[1], "sign-blob", "--new-bundle-format=false", "--bundle", ours, ...services, ...(await token()), artifact],
          { env: variables },
        );
        await succeed(cosign26, ["sign-blob", "--bundle", theirs, ...services.slice(0, 4), ...(await token()), artifact], {
          env: variables,
        });
        for (const bundle of [ours, theirs]) {
          await succeed(cosign26, ["verify-blob", "--bundle", bundle, ...policy, artifact], { env: variables });
          await succeed(lacre[0], [lacre[1], "verify-blob", "--bundle", bundle, ...policy, artifact], { env: variables });
        }
        const wrong = { ...variables, SIGSTORE_ROOT_FILE: parts.tsa };
        for (const [command, first] of [
          [cosign26, []],
          [lacre[0], [lacre[1]]],
        ] as const) {
          const told = await run(command, [...first, "verify-blob", "--bundle", theirs, ...policy, artifact], { env: wrong });
          if (told.status === 0) throw new Error(`${command} accepts a signer of another authority: the variable proves nothing`);
        }
      },
    },
    {
      name: "trust: lacre finds the ledger's entry of cosign's detached signature, and cosign that of lacre's",
      async go() {
        const token = async (): Promise<string[]> => ["--yes", "--identity-token", await setting.token()];
        const variables = {
          ...env,
          SIGSTORE_ROOT_FILE: parts.ca,
          SIGSTORE_REKOR_PUBLIC_KEY: parts.rekor,
          SIGSTORE_CT_LOG_PUBLIC_KEY_FILE: parts.ct,
        };
        for (const [command, first, who] of [
          [cosign26, [], "theirs"],
          [lacre[0], [lacre[1]], "ours"],
        ] as const) {
          const [signature, certificate] = [path(`${who}.sig`), path(`${who}.crt`)];
          const outputs = ["--output-signature", signature, "--output-certificate", certificate];
          // cosign 2.6 does not know the flag's value false beside addresses; it is its default.
          const flags = who === "ours" ? services : services.slice(0, 4);
          await succeed(command, [...first, "sign-blob", ...flags, ...outputs, ...(await token()), artifact], { env: variables });
          const verify = [
            "verify-blob",
            "--signature",
            signature,
            "--certificate",
            certificate,
            ...policy,
            "--rekor-url",
            setting.url,
            artifact,
          ];
          await succeed(cosign26, verify, { env: variables });
          await succeed(lacre[0], [lacre[1], ...verify], { env: variables });
        }
      },
    },
    {
      name: "trust: cosign and lacre take the identity of the same GitHub Actions runner",
      async go() {
        const identityToken = await setting.token();
        const asked: string[] = [];
        const runner = createServer((request, response) => {
          asked.push(`${request.url} ${request.headers.authorization}`);
          response.end(JSON.stringify({ value: identityToken }));
        });
        await new Promise<void>((resolve) => runner.listen(0, "127.0.0.1", resolve));
        try {
          const variables = {
            ...env,
            ACTIONS_ID_TOKEN_REQUEST_URL: `http://127.0.0.1:${(runner.address() as AddressInfo).port}/token?api-version=2.0`,
            ACTIONS_ID_TOKEN_REQUEST_TOKEN: "runner-secret",
          };
          const files = [
            "--signing-config",
            join(setting.trust, "signing_config.v0.2.json"),
            "--trusted-root",
            join(setting.trust, "trusted_root.json"),
          ];
          for (const [command, first, who] of [
            [cosign, [], "theirs"],
            [lacre[0], [lacre[1]], "ours"],
          ] as const) {
            await succeed(
              command,
              [...first, "sign-blob", "--yes", "--bundle", path(`ambient-${who}.json`), ...files, artifact],
              { env: variables },
            );
          }
          if (
            asked.length < 2 ||
            asked.some((one) => !/[?&]audience=sigstore runner-secret$/i.test(one.replace(/ bearer /i, " ")))
          )
            throw new Error(`asked otherwise: ${asked.join(", ")}`);
        } finally {
          runner.close();
        }
      },
    },
    {
      name: "trust: cosign and lacre make the same bundle of loose parts",
      async go() {
        const key = path("loose");
        execFileSync("openssl", ["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", `${key}.pem`]);
        execFileSync("openssl", ["pkey", "-in", `${key}.pem`, "-pubout", "-out", `${key}.pub`]);
        const signature = execFileSync("openssl", ["dgst", "-sha256", "-sign", `${key}.pem`, artifact]).toString("base64");
        writeFileSync(`${key}.sig`, signature);
        const line = [
          "bundle",
          "create",
          "--artifact",
          artifact,
          "--signature",
          `${key}.sig`,
          "--key",
          `${key}.pub`,
          "--ignore-tlog",
        ];
        const [ours, theirs] = [await succeed(lacre[0], [lacre[1], ...line], { env }), await succeed(cosign, line, { env })];
        // The two spellings of version 0.3 mean the same; a list that is empty may be left out.
        const plain = (text: string): string =>
          JSON.stringify({ ...JSON.parse(text), mediaType: "" })
            .replace('"tlogEntries":[],', "")
            .replace(',"tlogEntries":[]', "");
        same(plain(ours.stdout), plain(theirs.stdout));
        writeFileSync(`${key}.bundle`, ours.stdout);
        const verify = ["verify-blob", "--key", `${key}.pub`, "--bundle", `${key}.bundle`, "--insecure-ignore-tlog", artifact];
        await succeed(cosign, verify, { env });
        await succeed(lacre[0], [lacre[1], ...verify], { env });
      },
    },
  ];
  return journeys;
}

interface Case {
  readonly name: string;
  /** What is done to a repository that both clients have refreshed from once. */
  readonly change: (repository: Repository) => void;
  /** What both say; `stricter`: python-tuf accepts, and we say why we do not. */
  readonly expected: "accepted" | "refused" | "stricter";
  readonly target?: string;
}

const CASES: readonly Case[] = [
  { name: "nothing new", change: () => undefined, expected: "accepted" },
  { name: "everything new", change: (r) => r.publishAll(), expected: "accepted" },
  {
    name: "timestamp goes back",
    change(r) {
      r.role("timestamp").version = 0;
      r.publish("timestamp");
    },
    expected: "refused",
  },
  {
    name: "snapshot goes back",
    change(r) {
      r.role("snapshot").version = 0;
      r.publish("snapshot");
      r.publish("timestamp");
    },
    expected: "refused",
  },
  {
    name: "targets go back",
    change(r) {
      r.role("targets").version = 0;
      r.publishTargets();
    },
    expected: "refused",
  },
  {
    name: "a role vanishes from the snapshot",
    change(r) {
      delete r.role("snapshot").meta["a.json"];
      r.publishTargets();
    },
    expected: "refused",
  },
  {
    name: "keys are replaced, versions start again",
    change(r) {
      for (const role of ["timestamp", "snapshot"]) r.signers[role] = [createSigner()];
      r.listKeys();
      r.publish("root");
      for (const role of ["timestamp", "snapshot"]) r.role(role).version = 0;
      r.publishTargets();
    },
    expected: "accepted",
  },
  {
    name: "root signed by the new key alone",
    change(r) {
      r.signers["root"] = [createSigner()];
      r.listKeys();
      r.publish("root");
    },
    expected: "refused",
  },
  {
    name: "root skips a version",
    change(r) {
      r.root.version += 2;
      r.files.set("2.root.json", r.publish("root", { bump: false }));
    },
    expected: "refused",
  },
  {
    name: "threshold of nought",
    change(r) {
      r.root.roles["targets"]!.threshold = 0;
      r.publish("root");
    },
    expected: "refused",
  },
  {
    name: "one key under two ids, threshold two",
    change(r) {
      const [one] = r.signers["timestamp"]!;
      r.signers["timestamp"] = [one!, { ...one!, id: "twin" }];
      r.root.roles["timestamp"]!.threshold = 2;
      r.listKeys();
      r.publish("root");
      r.publish("timestamp");
    },
    expected: "stricter",
  },
  {
    name: "a member twice in one object",
    change(r) {
      const bytes = r.publish("timestamp").toString();
      r.files.set("timestamp.json", Buffer.from(bytes.replace('"signed"', '"signatures": [],\n "signed"')));
    },
    expected: "stricter",
  },
  {
    name: "expired timestamp",
    change(r) {
      r.role("timestamp").expires = "2020-01-01T00:00:00Z";
      r.publish("timestamp");
    },
    expected: "refused",
  },
  {
    name: "expired delegated role",
    change(r) {
      r.role("a").expires = "2020-01-01T00:00:00Z";
      r.publishTargets("a");
    },
    target: "of-a",
    expected: "refused",
  },
  {
    name: "a target of a delegated role",
    change: () => undefined,
    target: "of-a",
    expected: "accepted",
  },
  {
    name: "a target with other content",
    change(r) {
      for (const [path, bytes] of r.targetFiles) r.targetFiles.set(path, Buffer.concat([bytes.subarray(1), Buffer.from("x")]));
    },
    target: "of-a",
    expected: "refused",
  },
  { name: "a target that is not listed", change: () => undefined, target: "nowhere", expected: "refused" },
  {
    name: "roles called like numbers, in the document's order",
    change(r) {
      for (const [name, content] of [
        ["9", "of nine"],
        ["1", "of one"],
      ] as const) {
        r.delegate("targets", name);
        r.addTarget("numbered", content, name);
      }
      // Whoever asks the second role first gets the wrong file: it is not served.
      r.targetFiles.delete([...r.targetFiles.keys()].at(-1)!);
      r.publishTargets("9", "1");
    },
    target: "numbered",
    expected: "accepted",
  },
];

/** Two clients, repositories with one thing wrong each, one opinion. */
export function tufJourneys(work: string): Journey[] {
  const python = join(part("python", "tuf6", "tuf==6.0.0", "securesystemslib[crypto]"), "python");
  const ours = join(ROOT, "test", "conformance", "tuf-client");
  return CASES.map(({ name, change, expected, target = "file" }, at) => ({
    name: `trust: our TUF client and python-tuf agree: ${name}`,
    async go() {
      const repository = new Repository(at % 2 === 0 ? "ed25519" : "ecdsa-sha2-nistp256");
      repository.withHashes = at % 3 === 0;
      repository.delegate("targets", "a", { paths: ["of-*"] });
      repository.addTarget("file", "a file");
      repository.addTarget("of-a", "a's file", "a");
      repository.publishTargets("a");
      const server = createServer((request, response) => {
        const [, kind, ...path] = (request.url ?? "/").split("/");
        const bytes = kind === "metadata" ? repository.files.get(path.join("/")) : repository.targetFiles.get(path.join("/"));
        if (bytes === undefined) response.writeHead(404).end();
        else response.end(bytes);
      });
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
      try {
        const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
        const root = join(work, `tuf-${at}-root.json`);
        writeFileSync(root, repository.files.get("1.root.json")!);
        const folder = (who: string): string => join(work, `tuf-${at}-${who}`);
        await succeed(ours, ["--metadata-dir", folder("ours"), "init", root], { env: homeEnv(work) });
        mkdirSync(join(folder("ours"), "targets"), { recursive: true });
        const ask = async (): Promise<readonly [number, number]> => {
          const first = await run(
            ours,
            [
              "--metadata-url",
              `${url}/metadata/`,
              "--metadata-dir",
              folder("ours"),
              "--target-name",
              target,
              "--target-dir",
              join(folder("ours"), "targets"),
              "--target-base-url",
              `${url}/targets/`,
              "download",
            ],
            { env: homeEnv(work) },
          );
          const script = join(import.meta.dirname, "clients", "tuf-opinion.py");
          const second = await run(
            python,
            [script, `${url}/metadata/`, `${url}/targets/`, folder("theirs"), join(folder("theirs"), "targets"), root, target],
            { env: homeEnv(work) },
          );
          return [first.status ?? -1, second.status ?? -1];
        };
        if (target === "file" && !(await ask()).every((status) => status === 0))
          throw new Error("the good repository is refused");
        change(repository);
        const wanted = { accepted: [0, 0], refused: [1, 1], stricter: [1, 0] }[expected];
        const found = await ask();
        if (!isDeepStrictEqual(found, wanted))
          throw new Error(`we end with ${found[0]}, python-tuf with ${found[1]}; expected ${wanted.join(", ")}`);
        if (expected === "stricter") return;
        for (const role of ["root", "timestamp", "snapshot", "targets"]) {
          const [a, b] = ["ours", "theirs"].map((who) => {
            const path = join(folder(who), `${role}.json`);
            return existsSync(path) ? readFileSync(path).toString("base64") : "";
          });
          if (a !== b) throw new Error(`the clients keep different ${role} documents`);
        }
      } finally {
        server.closeAllConnections();
        server.close();
      }
    },
  }));
}
