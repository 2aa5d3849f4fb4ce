// node link.mjs [--check] ENTRY OUT - writes the modules that tsc made as one: each behind those
// that it imports, without their imports and exports, and the entry's exports at the end.
// --check says whether OUT is what would be written.

import { existsSync, readFileSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname, resolve } from "node:path";

const IMPORT = /^(?:import|export) \{[^}]*\} from "(\.[^"]*)";\n/gm;
const REEXPORT = /^export \{([^}]*)\} from "\.[^"]*";\n/gm;
const DECLARATION = /^(?:async )?(?:class|function|const|let|var) (\w+)/gm;
const HEADER = "// Made from clients/js/src by `npm run build` there; changes are made there.\n";

/** The modules in order: what is imported stands before what imports it. */
function modules(file, found = new Map()) {
  if (found.has(file)) return found;
  const text = readFileSync(file, "utf8");
  found.set(file, null);
  for (const [, name] of text.matchAll(IMPORT)) modules(resolve(dirname(file), name), found);
  found.delete(file);
  return found.set(file, text);
}

function link(entry) {
  const all = modules(resolve(entry));
  const exported = [...all.get(resolve(entry)).matchAll(REEXPORT)].flatMap(([, names]) => names.split(","));
  all.delete(resolve(entry));
  const parts = [...all.values()].map((text) => text.replace(IMPORT, "").replace(/^export /gm, "").trim());
  const body = parts.filter((it) => it !== "" && it !== "{};").join("\n\n");
  refuseDoubles(body);
  return `${HEADER}\n${body}\n\nexport { ${exported.map((it) => it.trim()).join(", ")} };\n`;
}

/** A name at the top of two modules would be one name in the result. */
function refuseDoubles(body) {
  const names = [...body.matchAll(DECLARATION)].map(([, name]) => name);
  const doubles = names.filter((name, at) => names.indexOf(name) !== at);
  if (doubles.length > 0) throw new Error(`declared in two modules: ${doubles.join(", ")}`);
}

const checks = process.argv[2] === "--check";
const [entry, out] = process.argv.slice(checks ? 3 : 2);
const linked = link(entry);
if (checks && (!existsSync(out) || readFileSync(out, "utf8") !== linked)) {
  console.error(`${out} is not what the source gives: run \`npm run build\` and commit it`);
  process.exit(1);
}
if (!checks) {
  mkdirSync(dirname(out), { recursive: true });
  writeFileSync(out, linked);
}
