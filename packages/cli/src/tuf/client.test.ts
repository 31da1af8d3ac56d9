// SPDX-License-Identifier: Apache-2.0
// The TUF client against repositories with one thing wrong each: the published vulnerabilities of other clients.
import assert from "node:assert/strict";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import { TrustedMetadataStore } from "tuf-js/dist/store.js";
import { openTufClient, quoteName, type TufClient } from "./client.ts";
import { matchesPattern } from "./documents.ts";
import { encodeCanonical } from "./signatures.ts";
import { scratch } from "../../../../test/harness.ts";
import { createSigner, Repository } from "../../../../test/tuf/repository.ts";

const work = scratch("tuf");
after(() => work.remove());
let folders = 0;

interface Setup {
  readonly repository: Repository;
  readonly metadataDir: string;
  readonly targetDir: string;
  readonly asked: string[];
  readonly roots: number[];
  open(now?: () => number): Promise<TufClient>;
  refresh(now?: () => number): Promise<void>;
  download(path: string): Promise<string>;
  version(role: string): number;
}

function setUp(repository = new Repository()): Setup {
  const metadataDir = join(work.path, `m${folders}`);
  const targetDir = join(work.path, `t${folders++}`);
  mkdirSync(metadataDir);
  mkdirSync(targetDir);
  writeFileSync(join(metadataDir, "root.json"), repository.files.get("1.root.json")!);
  const asked: string[] = [];
  const roots: number[] = [];
  const open = (now?: () => number): Promise<TufClient> =>
    openTufClient({
      metadataDir,
      ...(now === undefined ? {} : { now }),
      onRoot: async (version) => void roots.push(version),
      source: {
        async metadata(name) {
          asked.push(name);
          return repository.files.get(name);
        },
        async target(path) {
          asked.push(path);
          const bytes = repository.targetFiles.get(path);
          if (bytes === undefined) throw new Error("404");
          return bytes;
        },
      },
    });
  return {
    repository,
    metadataDir,
    targetDir,
    asked,
    roots,
    open,
    refresh: async (now) => (await open(now)).refresh(),
    async download(path) {
      const client = await open();
      const facts = await client.findTarget(path);
      if (facts === undefined) throw new Error("not listed");
      return Buffer.from((await client.downloadTarget(facts, targetDir)).bytes).toString();
    },
    version: (role) =>
      (JSON.parse(readFileSync(join(metadataDir, `${role}.json`), "utf8")) as { signed: { version: number } }).signed.version,
  };
}

test("a first refresh asks for four documents and keeps the bytes that were served", async () => {
  const world = setUp();
  await world.refresh();
  assert.deepEqual(world.asked, ["2.root.json", "timestamp.json", "1.snapshot.json", "1.targets.json"]);
  assert.deepEqual(readFileSync(join(world.metadataDir, "targets.json")), world.repository.files.get("1.targets.json"));
});

for (const scheme of ["ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "rsassa-pss-sha256", "rsa-pkcs1v15-sha256"]) {
  test(`keys of ${scheme} count`, async () => {
    const world = setUp(new Repository(scheme));
    world.repository.addTarget("a/b.txt", "content");
    world.repository.publishTargets();
    assert.equal(await world.download("a/b.txt"), "content");
  });
}

test("a target of another content, a longer one, and one that nobody lists are refused", async () => {
  const world = setUp();
  world.repository.addTarget("a", "content");
  world.repository.publishTargets();
  const [path] = [...world.repository.targetFiles.keys()];
  for (const bad of ["contenT", "content and more"]) {
    world.repository.targetFiles.set(path!, Buffer.from(bad));
    await assert.rejects(world.download("a"), /has (another sha256|16 octets)/);
  }
  await assert.rejects(world.download("b"), /not listed/);
  for (const name of ["constructor", "__proto__", "toString"]) await assert.rejects(world.download(name), /not listed/);
  assert.deepEqual(readdirSync(world.targetDir), []);
});

// U01
test("no role goes back", async (t) => {
  await t.test("timestamp", async () => {
    const world = setUp();
    world.repository.publish("timestamp");
    await world.refresh();
    world.repository.role("timestamp").version = 1;
    world.repository.publish("timestamp", { bump: false });
    await assert.rejects(world.refresh(), /timestamp went back from 2 to 1/);
    assert.equal(world.version("timestamp"), 2);
  });
  for (const withHashes of [false, true]) {
    await t.test(`snapshot${withHashes ? " with hashes" : ""}, before the timestamp is kept`, async () => {
      const world = setUp();
      world.repository.withHashes = withHashes;
      world.repository.publishTargets();
      await world.refresh();
      world.repository.role("snapshot").version = 0;
      world.repository.publish("snapshot");
      world.repository.publish("timestamp");
      await assert.rejects(world.refresh(), /snapshot went back from 2 to 1/);
      assert.deepEqual([world.version("timestamp"), world.version("snapshot")], [2, 2]);
    });
    await t.test(`targets${withHashes ? " with hashes" : ""}`, async () => {
      const world = setUp();
      world.repository.withHashes = withHashes;
      world.repository.publishTargets();
      await world.refresh();
      world.repository.role("targets").version = 0;
      world.repository.publishTargets();
      await assert.rejects(world.refresh(), /"targets.json" went back from 2 to 1/);
    });
    await t.test(`a delegated role${withHashes ? " with hashes" : ""}`, async () => {
      const world = setUp();
      world.repository.withHashes = withHashes;
      world.repository.delegate("targets", "a");
      world.repository.publishTargets("a");
      world.repository.publishTargets("a");
      await assert.rejects(world.download("x"), /not listed/);
      world.repository.role("a").version = 0;
      world.repository.publishTargets("a");
      await assert.rejects(world.download("x"), /"a.json" went back from 2 to 1/);
    });
  }
  await t.test("a snapshot that drops a role", async () => {
    const world = setUp();
    world.repository.delegate("targets", "a");
    world.repository.publishTargets("a");
    await world.refresh();
    delete world.repository.role("snapshot").meta["a.json"];
    world.repository.publishTargets();
    await assert.rejects(world.refresh(), /does not list "a.json" any more/);
  });
  await t.test("but new keys start a new count", async () => {
    const world = setUp();
    world.repository.role("timestamp").version = 98;
    world.repository.publish("timestamp");
    await world.refresh();
    world.repository.signers["timestamp"] = [createSigner()];
    world.repository.listKeys();
    world.repository.publish("root");
    world.repository.role("timestamp").version = 0;
    world.repository.publish("timestamp");
    await world.refresh();
    assert.equal(world.version("timestamp"), 1);
  });
});

// U02
test("a key counts once, however often it is listed or signs", async (t) => {
  for (const role of ["root", "snapshot"]) {
    await t.test(`${role}: one key under two ids`, async () => {
      const world = setUp();
      const [one] = world.repository.signers[role]!;
      const twin = { ...one!, id: "another-id-of-the-same-key" };
      world.repository.signers[role] = [one!, twin];
      world.repository.root.roles[role]!.threshold = 2;
      world.repository.listKeys();
      world.repository.publish("root");
      world.repository.publishTargets();
      await assert.rejects(world.refresh(), new RegExp(`"${role}" is signed by 1 of the 2 keys`));
    });
  }
  await t.test("one key as PEM and as hexadecimal digits", async () => {
    const world = setUp(new Repository("ecdsa-sha2-nistp256"));
    const [one] = world.repository.signers["snapshot"]!;
    const { keyval } = one!.key as { keyval: { public: string } };
    const der = Buffer.from(keyval.public.replaceAll(/-----[A-Z ]+-----|\s/g, ""), "base64");
    const twin = { ...one!, id: "twin", key: { ...one!.key, keyval: { public: der.subarray(-65).toString("hex") } } };
    world.repository.signers["snapshot"] = [one!, twin];
    world.repository.root.roles["snapshot"]!.threshold = 2;
    world.repository.listKeys();
    world.repository.publish("root");
    world.repository.publishTargets();
    await assert.rejects(world.refresh(), /"snapshot" is signed by 1 of the 2 keys/);
    world.repository.root.roles["snapshot"]!.threshold = 1;
    world.repository.publish("root");
    await world.refresh();
  });
  await t.test("an id that is listed twice, or signs twice", async () => {
    const world = setUp();
    world.repository.root.roles["snapshot"]!.keyids.push(world.repository.signers["snapshot"]![0]!.id);
    world.repository.publish("root");
    await assert.rejects(world.refresh(), /lists a key id twice/);
    const other = setUp();
    const [one] = other.repository.signers["timestamp"]!;
    other.repository.publish("timestamp", { signers: [one!, one!] });
    await assert.rejects(other.refresh(), /signed twice under one key id/);
  });
  await t.test("a delegated role", async () => {
    const world = setUp();
    const one = createSigner();
    world.repository.signers["a"] = [one, { ...one, id: "twin" }];
    world.repository.delegate("targets", "a", { threshold: 2 });
    world.repository.publishTargets("a");
    await assert.rejects(world.download("x"), /"a" is signed by 1 of the 2 keys/);
  });
});

// U03
test("delegations are walked in the document's order, depth first, and end where they should", async (t) => {
  const order = async (build: (repository: Repository) => readonly string[], path = "x"): Promise<string[]> => {
    const world = setUp();
    world.repository.publishTargets(...build(world.repository));
    await assert.rejects(world.download(path), /not listed/);
    return world.asked.slice(4).map((name) => name.replace(/^1\./, "").replace(".json", ""));
  };
  await t.test("roles that are called like numbers keep their order", async () => {
    const seen = await order((repository) => {
      for (const name of ["10", "2", "1"]) repository.delegate("targets", name);
      return ["10", "2", "1"];
    });
    assert.deepEqual(seen, ["10", "2", "1"]);
  });
  await t.test("a terminating delegation ends the walk, its descendants included", async () => {
    const seen = await order((repository) => {
      for (const name of ["a", "b"]) repository.delegate("targets", name);
      repository.delegate("a", "c", { terminating: true });
      repository.delegate("a", "d");
      repository.delegate("c", "e");
      return ["a", "b", "c", "d", "e"];
    });
    assert.deepEqual(seen, ["a", "c", "e"]);
  });
  await t.test("a circle is walked once", async () => {
    const seen = await order((repository) => {
      repository.delegate("targets", "a");
      repository.delegate("a", "b");
      repository.delegate("b", "a");
      return ["a", "b"];
    });
    assert.deepEqual(seen, ["a", "b"]);
  });
  await t.test("a role that does not match is not asked", async () => {
    const seen = await order((repository) => {
      repository.delegate("targets", "a", { paths: ["*.py"] });
      repository.delegate("targets", "b", { paths: ["dir/*"] });
      return ["a", "b"];
    }, "dir/x");
    assert.deepEqual(seen, ["b"]);
  });
  await t.test("bins of hashes", async () => {
    const world = setUp();
    const signer = createSigner();
    const names = ["bin-0", "bin-1"];
    for (const name of names) {
      world.repository.signers[name] = [signer];
      world.repository.signed[name] = { ...world.repository.role("targets"), version: 0, targets: {} };
    }
    world.repository.role("targets").delegations = {
      keys: { [signer.id]: signer.key },
      succinct_roles: { keyids: [signer.id], threshold: 1, bit_length: 1, name_prefix: "bin" },
    };
    // The first bit of a target's SHA-256 chooses: "a" begins with ca, "b" with 3e.
    world.repository.addTarget("a", "A", "bin-1");
    world.repository.addTarget("b", "B", "bin-0");
    world.repository.publishTargets(...names);
    assert.deepEqual([await world.download("a"), await world.download("b")], ["A", "B"]);
  });
});

// U04, U05, U10 and the shapes that a lenient reader takes
test("a malformed document is refused, signed or not, and nothing is kept of it", async (t) => {
  const wrong: Record<string, (repository: Repository) => void> = {
    "threshold 0": ({ root }) => void (root.roles["targets"]!.threshold = 0),
    "threshold -1": ({ root }) => void (root.roles["targets"]!.threshold = -1),
    "threshold half": ({ root }) => void (root.roles["targets"]!.threshold = 0.5),
    "role missing": ({ root }) => void delete root.roles["snapshot"],
    "version half": ({ root }) => void (root.version = 0.5),
    "expiry in words": ({ root }) => void (root.expires = "2099"),
    "expiry with another zone": ({ root }) => void (root.expires = "2099-01-01T00:00:00+02:00"),
    "another specification": ({ signed }) => void (signed["root"]!["spec_version"] = "2.0.0"),
    "another type": ({ signed }) => void (signed["root"]!["_type"] = "targets"),
  };
  for (const [name, spoil] of Object.entries(wrong)) {
    await t.test(name, async () => {
      const world = setUp();
      spoil(world.repository);
      world.repository.files.set("2.root.json", world.repository.publish("root"));
      await assert.rejects(world.refresh(), (error: Error) => error.name === "DocumentError");
      assert.equal(world.version("root"), 1);
      assert.deepEqual(world.roots, []);
    });
  }
  for (const bytes of [
    "",
    "{",
    "null",
    "[]",
    '{"signed":null,"signatures":[]}',
    '{"signed":{},"signatures":{}}',
    '{"signed":{},"signed":{},"signatures":[]}',
  ]) {
    await t.test(`timestamp ${bytes}`, async () => {
      const world = setUp();
      world.repository.files.set("timestamp.json", Buffer.from(bytes));
      await assert.rejects(world.refresh(), (error: Error) => error.name === "DocumentError");
    });
  }
  await t.test("a number without one canonical form", async () => {
    const world = setUp();
    world.repository.signed["timestamp"]!["custom"] = 1.5;
    world.repository.publish("timestamp");
    await assert.rejects(world.refresh(), /no canonical form/);
  });
});

test("hash, length, version and expiry of every role are checked", async (t) => {
  for (const role of ["snapshot", "targets", "a"]) {
    const build = (): Setup => {
      const world = setUp();
      world.repository.withHashes = true;
      world.repository.delegate("targets", "a");
      world.repository.publishTargets("a");
      return world;
    };
    await t.test(`${role}: hash`, async () => {
      const world = build();
      const { version } = world.repository.role(role);
      world.repository.role(role)["custom"] = "x";
      const name = `${version}.${role}.json`;
      const held = world.repository.files.get(name)!;
      const other = world.repository.publish(role, { bump: false });
      // As long as the one that was announced, or longer.
      for (const bytes of [other, Buffer.concat([held.subarray(0, held.length - 2), Buffer.from("} ")])]) {
        world.repository.files.set(name, bytes);
        await assert.rejects(world.download("x"), /has (another sha256|\d+ octets)|longer than/);
      }
    });
    await t.test(`${role}: version`, async () => {
      const world = setUp();
      world.repository.delegate("targets", "a");
      world.repository.publishTargets("a");
      const { version } = world.repository.role(role);
      world.repository.role(role).version = version + 1;
      world.repository.files.set(`${version}.${role}.json`, world.repository.publish(role, { bump: false }));
      await assert.rejects(
        world.download("x"),
        new RegExp(`is version ${version + 1}, and the (timestamp|snapshot) names ${version}`),
      );
    });
    await t.test(`${role}: expiry`, async () => {
      const world = setUp();
      world.repository.delegate("targets", "a");
      world.repository.publishTargets("a");
      world.repository.role(role).expires = "2020-01-01T00:00:00Z";
      world.repository.publishTargets(...(role === "a" ? ["a"] : []));
      await assert.rejects(world.download("x"), { name: "ExpiredError" });
      assert.equal(readdirSync(world.metadataDir).includes(`${role}.json`), false);
    });
  }
  await t.test("root and timestamp", async () => {
    const world = setUp();
    const later = (): number => Date.now() + 31 * 86_400_000;
    await world.refresh();
    await assert.rejects(world.refresh(later), { name: "ExpiredError", message: /the root/ });
    world.repository.root.expires = "2099-01-01T00:00:00Z";
    world.repository.publish("root");
    await assert.rejects(world.refresh(later), { name: "ExpiredError", message: /the timestamp/ });
    assert.equal(world.version("root"), 2);
  });
  await t.test("a root in between may have expired", async () => {
    const world = setUp();
    world.repository.root.expires = "2020-01-01T00:00:00Z";
    world.repository.publish("root");
    world.repository.root.expires = "2099-01-01T00:00:00Z";
    world.repository.publish("root");
    await world.refresh();
    assert.deepEqual(world.roots, [2, 3]);
  });
});

// U06
test("no name leads out of its folder", async () => {
  const world = setUp();
  for (const name of ["../role", "/role", "..", ".", "a/../../b", "..\\b"]) world.repository.delegate("targets", name);
  world.repository.publishTargets("../role", "/role", "..", ".", "a/../../b", "..\\b");
  await assert.rejects(world.download("x"), /is no name for a file/);
  const kept = readdirSync(world.metadataDir);
  assert.ok(kept.includes("..%2Frole.json") && kept.includes("%2Frole.json"), kept.join());
  assert.ok(world.asked.includes("1...%2Frole.json"));
  for (const path of ["../x", "/x", "a/../x", "a//x", "a/", "..", "."]) {
    const other = setUp();
    other.repository.addTarget(path, "content");
    other.repository.publishTargets();
    await assert.rejects(other.download(path), /is no path of a target/);
  }
  assert.deepEqual([quoteName("a b/c"), quoteName("?#%")], ["a%20b%2Fc", "%3F%23%25"]);
});

// U07
test("roots come one by one, each signed by the one before and by itself", async (t) => {
  await t.test("a root that skips a version", async () => {
    const world = setUp();
    world.repository.root.version = 3;
    world.repository.files.set("2.root.json", world.repository.publish("root", { bump: false }));
    await assert.rejects(world.refresh(), /serves root 3 as 2/);
    assert.equal(world.version("root"), 1);
  });
  for (const signer of ["old", "new"]) {
    await t.test(`signed by the ${signer} key alone`, async () => {
      const world = setUp();
      const [old] = world.repository.signers["root"]!;
      const fresh = createSigner();
      world.repository.signers["root"] = [fresh];
      world.repository.listKeys();
      world.repository.publish("root", { signers: [signer === "old" ? old! : fresh] });
      await assert.rejects(world.refresh(), /"root" is signed by 0 of the 1 keys/);
      assert.equal(world.version("root"), 1);
      assert.deepEqual(world.roots, [], "an unverified root is told of");
      world.repository.publish("root", { bump: false, signers: [old!, fresh] });
      await world.refresh();
      assert.equal(world.version("root"), 2);
    });
  }
  await t.test("a first root that its own key did not sign", async () => {
    const world = setUp();
    world.repository.publish("root", { bump: false, signers: [createSigner()] });
    writeFileSync(join(world.metadataDir, "root.json"), world.repository.files.get("1.root.json")!);
    await assert.rejects(world.refresh(), /signed by 0 of/);
    assert.deepEqual(world.asked, []);
  });
});

// U08
test("documents are bounded, and so are rotations and delegations", async () => {
  const world = setUp();
  world.repository.signed["timestamp"]!["padding"] = "x".repeat(20_000);
  world.repository.publish("timestamp");
  await assert.rejects(world.refresh(), /longer than 16384|too large/);
  const deep = setUp();
  deep.repository.files.set("timestamp.json", Buffer.from(`{"signed":${"[".repeat(5000)}${"]".repeat(5000)},"signatures":[]}`));
  await assert.rejects(deep.refresh(), /strict JSON/);
  const many = setUp();
  for (let i = 0; i < 60; i++) many.repository.delegate("targets", `r${i}`);
  many.repository.publishTargets(...Array.from({ length: 60 }, (_, i) => `r${i}`));
  await assert.rejects(many.download("x"), /not listed/);
  assert.ok(many.asked.length < 4 + 34, String(many.asked.length));
  const began = process.cpuUsage().user;
  assert.equal(matchesPattern("a".repeat(2000), `${"*a".repeat(300)}b`), false);
  assert.ok(process.cpuUsage().user - began < 5_000_000, "a pattern takes exponential time");
});

// U09
test("what is kept when a step fails is a state that was verified", async () => {
  for (const failing of ["root", "timestamp", "snapshot", "targets"]) {
    const world = setUp();
    await world.refresh();
    world.repository.root.expires = "2098-01-01T00:00:00Z";
    world.repository.publishAll();
    const before = readFileSync(join(world.metadataDir, `${failing}.json`));
    const client = await openTufClient({
      metadataDir: world.metadataDir,
      source: {
        async metadata(name) {
          if (name.includes(failing)) throw new Error("the disk is full");
          return world.repository.files.get(name);
        },
        target: async () => Buffer.alloc(0),
      },
    });
    await assert.rejects(client.refresh());
    assert.deepEqual(readFileSync(join(world.metadataDir, `${failing}.json`)), before);
    await world.refresh();
    assert.deepEqual(["root", "timestamp", "snapshot", "targets"].map(world.version), [2, 2, 2, 2]);
  }
});

test("a damaged cache is as good as none, and one of another repository too", async () => {
  const world = setUp();
  world.repository.publishTargets();
  await world.refresh();
  for (const role of ["timestamp", "snapshot", "targets"]) writeFileSync(join(world.metadataDir, `${role}.json`), "junk");
  await world.refresh();
  const other = setUp();
  for (const role of ["timestamp", "snapshot", "targets"])
    writeFileSync(join(other.metadataDir, `${role}.json`), readFileSync(join(world.metadataDir, `${role}.json`)));
  await other.refresh();
  assert.equal(other.version("targets"), 1);
});

test("a timestamp of the same version changes nothing", async () => {
  const world = setUp();
  await world.refresh();
  world.repository.role("timestamp").meta["snapshot.json"]!["version"] = 100;
  world.repository.publish("timestamp", { bump: false });
  await world.refresh();
  assert.equal(world.version("snapshot"), 1);
});

test("repositories without consistent snapshots have plain names", async () => {
  const repository = new Repository();
  repository.root.consistent_snapshot = false;
  repository.addTarget("dir/a", "content");
  repository.publishAll();
  const world = setUp(repository);
  assert.equal(await world.download("dir/a"), "content");
  assert.deepEqual(world.asked, ["2.root.json", "3.root.json", "timestamp.json", "snapshot.json", "targets.json", "dir/a"]);
});

test("patterns are those of the specification", () => {
  const cases: readonly [string, string, boolean][] = [
    ["a/b.txt", "a/*.txt", true],
    ["a/b/c.txt", "a/*.txt", false],
    [".hidden", "*", true],
    ["x", "{x,y}", false],
    ["#x", "#x", true],
    ["!x", "!x", true],
    ["a1", "a[0-9]", true],
    ["ab", "a[!0-9]", true],
    ["a", "a?", false],
    ["foo-1.tgz", "foo-*.tgz", true],
    ["", "*", true],
    ["a]", "a]", true],
    ["a[", "a[", true],
  ];
  for (const [path, pattern, expected] of cases) assert.equal(matchesPattern(path, pattern), expected, `${path} ${pattern}`);
});

test("the canonical form is the one that another library signs", () => {
  const repository = new Repository();
  repository.signed["root"]!["x-ÿ"] = { "\\": 'a"b\\c\n', "€": [true, null, -1, "𐀀"], b: {} };
  // It refuses a root that its own keys have not signed.
  assert.doesNotThrow(() => new TrustedMetadataStore(repository.publish("root")));
  assert.equal(encodeCanonical({ b: 1, a: "\u007f\n" }), '{"a":"\u007f\n","b":1}');
});

test("every shape that the specification does not have is refused", async (t) => {
  type Signed = Record<string, unknown>;
  const spoil: Record<string, readonly [string, (signed: Signed) => void]> = {
    "root: no consistent_snapshot": ["root", (signed) => void delete signed["consistent_snapshot"]],
    "root: keys are a list": ["root", (signed) => void (signed["keys"] = [])],
    "root: a role without keys": ["root", (signed) => void ((signed["roles"] as Signed)["targets"] = { threshold: 1 })],
    "root: key ids that are no texts": [
      "root",
      (signed) => void ((signed["roles"] as Signed)["targets"] = { threshold: 1, keyids: [1] }),
    ],
    "timestamp: of another type": ["timestamp", (signed) => void (signed["_type"] = "snapshot")],
    "timestamp: version 0": ["timestamp", (signed) => void (signed["version"] = -1)],
    "timestamp: no list of files": ["timestamp", (signed) => void delete signed["meta"]],
    "timestamp: another file": ["timestamp", (signed) => void (signed["meta"] = { "other.json": { version: 1 } })],
    "timestamp: a file of version 0": ["timestamp", (signed) => void (signed["meta"] = { "snapshot.json": { version: 0 } })],
    "timestamp: a length that is none": [
      "timestamp",
      (signed) => void (signed["meta"] = { "snapshot.json": { version: 1, length: -1 } }),
    ],
    "timestamp: hashes that are none": [
      "timestamp",
      (signed) => void (signed["meta"] = { "snapshot.json": { version: 1, hashes: { sha256: 1 } } }),
    ],
    "timestamp: an empty list of hashes": [
      "timestamp",
      (signed) => void (signed["meta"] = { "snapshot.json": { version: 1, hashes: {} } }),
    ],
    "targets: no targets": ["targets", (signed) => void (signed["targets"] = [])],
    "targets: one without hashes": ["targets", (signed) => void (signed["targets"] = { x: { length: 1 } })],
    "targets: one without length": ["targets", (signed) => void (signed["targets"] = { x: { hashes: { sha256: "00" } } })],
  };
  const delegations: Record<string, unknown> = {
    "no keys": { roles: [] },
    "neither roles nor bins": { keys: {} },
    "roles and bins": { keys: {}, roles: [], succinct_roles: { keyids: [], threshold: 1, bit_length: 1, name_prefix: "b" } },
    "roles that are no list": { keys: {}, roles: {} },
    "bins of 33 bits": { keys: {}, succinct_roles: { keyids: [], threshold: 1, bit_length: 33, name_prefix: "b" } },
    "bins with threshold 0": { keys: {}, succinct_roles: { keyids: [], threshold: 0, bit_length: 1, name_prefix: "b" } },
    ...Object.fromEntries(
      Object.entries({
        "a role without a name": { name: undefined },
        "a role that neither ends nor does not": { terminating: "yes" },
        "a role with threshold 0": { threshold: 0 },
        "a top-level role": { name: "snapshot" },
        "a role with paths and hashes": { path_hash_prefixes: ["0"] },
        "a role with neither": { paths: undefined },
        "a role whose paths are no texts": { paths: [1] },
      }).map(([name, more]) => [
        name,
        { keys: {}, roles: [{ name: "a", keyids: [], threshold: 1, terminating: false, paths: ["*"], ...more }] },
      ]),
    ),
    "a role twice": {
      keys: {},
      roles: [1, 2].map(() => ({ name: "a", keyids: [], threshold: 1, terminating: false, paths: ["*"] })),
    },
  };
  for (const [name, value] of Object.entries(delegations))
    spoil[`delegations: ${name}`] = ["targets", (signed) => void (signed["delegations"] = value)];
  for (const [name, [role, change]] of Object.entries(spoil)) {
    await t.test(name, async () => {
      const world = setUp();
      const { repository } = world;
      change(repository.signed[role]!);
      if (role === "root") repository.publish("root");
      else if (role === "timestamp") repository.publish("timestamp");
      else if (role === "snapshot") for (const one of ["snapshot", "timestamp"]) repository.publish(one);
      else repository.publishTargets();
      const error = await world.refresh().then(
        () => assert.fail("it is accepted"),
        (cause: unknown) => cause as Error,
      );
      assert.equal(error.name, "DocumentError", error.message);
      // Refused for its shape, before anything else could have been wrong with it.
      assert.doesNotMatch(error.message, /is signed by/);
      assert.ok(!readdirSync(world.metadataDir).includes(`${role}.json`) || role === "root");
    });
  }
  for (const signatures of [[{}], [{ keyid: "x" }], [{ keyid: "x", sig: 1 }], ["x"]]) {
    await t.test(`signatures ${JSON.stringify(signatures)}`, async () => {
      const world = setUp();
      const document = JSON.parse(world.repository.publish("timestamp").toString()) as Signed;
      world.repository.files.set("timestamp.json", Buffer.from(JSON.stringify({ ...document, signatures })));
      await assert.rejects(world.refresh(), /has a signature that is none/);
    });
  }
});

test("a role that two roles delegate to has to be signed for both", async () => {
  const world = setUp();
  const { repository } = world;
  for (const name of ["a", "b"]) repository.delegate("targets", name);
  repository.delegate("a", "c");
  // The second parent names another key for it.
  const [own] = repository.signers["c"]!;
  repository.signers["c"] = [createSigner()];
  repository.delegate("b", "c");
  repository.signers["c"] = [own!];
  repository.publishTargets("c", "a", "b");
  const client = await world.open();
  await client.refresh();
  // Each walk for a path of its own: the first reaches the role by the one, the second by the other.
  (repository.role("a").delegations as { roles: { paths: string[] }[] }).roles[0]!.paths = ["by-a"];
  (repository.role("b").delegations as { roles: { paths: string[] }[] }).roles[0]!.paths = ["by-b"];
  repository.publishTargets("a", "b");
  const second = await world.open();
  assert.equal(await second.findTarget("by-a"), undefined);
  await assert.rejects(second.findTarget("by-b"), /"c" is signed by 0 of the 1 keys/);
});

test("a snapshot that does not list the targets is of no use", async () => {
  const world = setUp();
  world.repository.role("snapshot").meta = {};
  for (const role of ["snapshot", "timestamp"]) world.repository.publish(role);
  await assert.rejects(world.refresh(), /the snapshot does not list "targets"/);
});

test("a source that gives more than was asked for is refused all the same", async () => {
  const world = setUp();
  const bytes = Buffer.concat([world.repository.files.get("timestamp.json")!, Buffer.alloc(20_000, 0x20)]);
  world.repository.files.set("timestamp.json", bytes);
  await assert.rejects(world.refresh(), /longer than 16384 octets/);
  world.repository.files.delete("timestamp.json");
  await assert.rejects(world.refresh(), /has no timestamp\.json/);
});
