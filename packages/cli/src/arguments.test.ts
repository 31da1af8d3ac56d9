// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type FlagShape, readLine } from "./arguments.ts";
import { CliError } from "./errors.ts";

const FLAGS: readonly FlagShape[] = [
  { name: "bundle", takesValue: true, isList: false },
  { name: "key", takesValue: true, isList: false },
  { name: "certificate", takesValue: true, isList: false },
  { name: "certificate-identity", takesValue: true, isList: false },
  { name: "output", takesValue: true, isList: false, alias: "o" },
  { name: "annotations", takesValue: true, isList: true, alias: "a" },
  { name: "yes", takesValue: false, isList: false, alias: "y" },
  { name: "verbose", takesValue: false, isList: false, alias: "d" },
  { name: "tlog-upload", takesValue: false, isList: false },
];

interface Read {
  readonly flags: Record<string, string[]>;
  readonly operands: string[];
  readonly warnings: readonly string[];
}

function read(args: string[], env: Record<string, string> = {}): Read {
  const line = readLine(args, FLAGS, env);
  if (typeof line === "string") throw new TypeError(`help: ${line}`);
  const { flags, operands, warnings } = line;
  return { flags: Object.fromEntries([...flags].map(([name, given]) => [name, [...given]])), operands: [...operands], warnings };
}

function usage(args: string[], env: Record<string, string> = {}): CliError {
  try {
    read(args, env);
  } catch (error) {
    assert.ok(error instanceof CliError);
    assert.equal(error.status, 2);
    return error;
  }
  return assert.fail(`accepted: ${args.join(" ")}`);
}

test("every spelling of a value is read", () => {
  for (const args of [["--bundle", "x"], ["--bundle=x"], ["-bundle", "x"], ["-bundle=x"]])
    assert.deepEqual(read(args).flags, { bundle: ["x"] });
  for (const args of [["-o", "json"], ["-o=json"], ["-ojson"], ["--output", "json"]])
    assert.deepEqual(read(args).flags, { output: ["json"] });
});

test("-ay=1 is an annotation and never an operand", () => {
  assert.deepEqual(read(["-ay=1", "file"]), { flags: { annotations: ["y=1"] }, operands: ["file"], warnings: [] });
  assert.deepEqual(read(["-a", "k=v", "-a=k2=v2", "--annotations", "k3=v3"]).flags, { annotations: ["k=v", "k2=v2", "k3=v3"] });
});

test("empty values, values with dashes and values with line ends survive", () => {
  assert.deepEqual(read(["--bundle="]).flags, { bundle: [""] });
  assert.deepEqual(read(["--bundle", ""]).flags, { bundle: [""] });
  assert.deepEqual(read(["--key", "--bundle"]).flags, { key: ["--bundle"] });
  assert.deepEqual(read(["--key=-----BEGIN\nx\r\n\\n"]).flags, { key: ["-----BEGIN\nx\r\n\\n"] });
  assert.deepEqual(read(["--bundle=a=b=c"]).flags, { bundle: ["a=b=c"] });
});

test("toggles take a value only after an equals sign", () => {
  assert.deepEqual(read(["--yes", "true"]), { flags: { yes: ["true"] }, operands: ["true"], warnings: [] });
  for (const off of ["--yes=false", "--yes=0", "--yes=F", "--no-yes"]) assert.deepEqual(read([off]).flags, { yes: ["false"] });
  for (const on of ["--yes=true", "--yes=1", "--yes", "-y", "-y=true"]) assert.deepEqual(read([on]).flags, { yes: ["true"] });
  assert.deepEqual(read(["-dy"]).flags, { verbose: ["true"], yes: ["true"] });
  assert.deepEqual(read(["-dyo", "json"]).flags, { verbose: ["true"], yes: ["true"], output: ["json"] });
  usage(["--yes=maybe"]);
});

test("single-dash long forms are read with a warning", () => {
  const { flags, warnings } = read(["-key", "k.pem", "-tlog-upload=false"]);
  assert.deepEqual(flags, { key: ["k.pem"], "tlog-upload": ["false"] });
  assert.equal(warnings.length, 2);
  assert.match(warnings[0]!, /-key is read as --key/);
});

test("every --cert form is a --certificate form", () => {
  assert.deepEqual(read(["--cert", "c.pem", "--cert-identity=me"]).flags, {
    certificate: ["c.pem"],
    "certificate-identity": ["me"],
  });
});

test("of a repeated flag the last counts, with a warning when they differ", () => {
  assert.deepEqual(read(["--key", "a", "--key", "b"]), {
    flags: { key: ["b"] },
    operands: [],
    warnings: ["--key is given twice; the last one counts"],
  });
  assert.deepEqual(read(["--key", "a", "--key=a", "--yes", "-y"]).warnings, []);
});

test("two dashes end the flags, and one dash is an operand", () => {
  assert.deepEqual(read(["-", "--", "--bundle", "-y"]).operands, ["-", "--bundle", "-y"]);
});

test("an unknown flag is refused with a near one named", () => {
  assert.match(usage(["--bundel", "x"]).hint, /--bundle/);
  usage(["--certificat-identity=x"]);
  usage(["-x"]);
  usage(["-xyz"]);
  usage(["-yx"]);
});

test("a value that is missing is said", () => {
  assert.match(usage(["--bundle"]).message, /--bundle needs a value/);
  assert.match(usage(["-o"]).message, /-o needs a value/);
});

test("COSIGN_<FLAG> fills what the line does not give", () => {
  assert.deepEqual(
    read(["--key", "a"], {
      COSIGN_YES: "true",
      COSIGN_KEY: "b",
      COSIGN_TLOG_UPLOAD: "false",
      COSIGN_BUNDLE: "",
      COSIGN_EXPERIMENTAL: "1",
    }).flags,
    {
      key: ["a"],
      yes: ["true"],
      "tlog-upload": ["false"],
    },
  );
  assert.deepEqual(read([], { COSIGN_ANNOTATIONS: "a=1,b=2" }).flags, { annotations: ["a=1", "b=2"] });
  usage([], { COSIGN_YES: "perhaps" });
});

test("help is told before anything is wrong", () => {
  for (const word of ["--help", "-h", "--help-all"]) assert.equal(readLine(["x", word, "--nonsense"], FLAGS), word);
});

test("any line is read or refused, and operands are never lost", () => {
  const word = fc.oneof(
    fc.constantFrom("--", "-", "-o", "--bundle", "--yes", "-ay=1", "-key", "--bundle=", "--no-yes"),
    fc.string(),
  );
  fc.assert(
    fc.property(fc.array(word, { maxLength: 8 }), (args) => {
      try {
        const { operands } = read(args);
        for (const operand of operands) assert.ok(args.includes(operand));
      } catch (error) {
        if (
          !(error instanceof CliError) &&
          !(error instanceof TypeError && args.some((one) => /^(--help|-h|--help-all|-H)$/.test(one)))
        )
          throw error;
      }
    }),
  );
});

test("a flag in camel case is the one in kebab case", () => {
  const flags = [{ name: "digest-alg", takesValue: true, isList: false }];
  const line = readLine(["--digestAlg", "sha256"], flags);
  assert.deepEqual(typeof line === "string" ? line : line.flags.get("digest-alg"), ["sha256"]);
});
