import { readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { permutation, Random } from '../../../packages/peft-core/src/random.ts';

/** Documentation of a member of a browser interface in lib.dom.d.ts, in MDN's words. */
export interface DomMember {
  interface: string;
  name: string;
  /** First paragraph, in one line. */
  text: string;
}

/** Lines of a documented member: its comment, and the name after it. */
const documented = /^ {4}\/\*\*\n((?: {5}\*.*\n)+?) {5}\*\/\n {4}(?:readonly |get |set )?(\w+)\s*[?(:<]/gm;

/** Each paragraph once, in an order that has nothing to do with the file's. The version of typescript, which package.json fixes, fixes them. */
export function domDocumentation(): DomMember[] {
  const byText = new Map<string, DomMember>();
  for (const block of readFileSync(domLibrary(), 'utf8')
    .split(/^interface /m)
    .slice(1)) {
    const [of] = /^\w+/.exec(block)!;
    // Body of this interface alone: text after its brace belongs to no member.
    const body = block.slice(0, block.indexOf('\n}'));
    for (const [, comment, name] of `${body}\n`.matchAll(documented)) {
      const text = firstParagraph(comment!);
      if (text && !byText.has(text)) byText.set(text, { interface: of, name: name!, text });
    }
  }
  const all = [...byText.values()];
  return [...permutation(all.length, new Random(0, 'order'))].map((at) => all[at]!);
}

/** Fewer members say too little of an interface. */
const FEWEST_MEMBERS = 4;

/**
 * Which interface a described member belongs to. Without their names two members may be described alike, of which there is one then.
 * @param longest maximum length of a description, in characters
 */
export function interfaceRows(longest = Number.POSITIVE_INFINITY) {
  const named = domDocumentation().filter(
    ({ interface: of, text }) => text.includes(of) && text.length <= longest,
  );
  const members = new Map<string, number>();
  for (const { interface: of } of named) members.set(of, (members.get(of) ?? 0) + 1);
  const rows = named
    .filter(({ interface: of }) => members.get(of)! >= FEWEST_MEMBERS)
    .map(({ interface: of, name, text }, at) => ({
      prompt: `${name}: ${text.replaceAll(of, '…')}\n→ `,
      completion: of,
      at,
    }));
  return [...new Map(rows.map((row) => [row.prompt, row])).values()];
}

/** The compiler comes as a package for each machine; all of them have the same library. */
function domLibrary(): string {
  const packages = join(dirname(createRequire(import.meta.url).resolve('typescript/package.json')), '..');
  const scope = join(packages, '@typescript');
  const [machine] = readdirSync(scope).filter((name) => name.startsWith('typescript-'));
  if (!machine) throw new Error(`no package of the TypeScript compiler in ${scope}: npm ci installs it`);
  return join(scope, machine, 'lib/lib.dom.d.ts');
}

function firstParagraph(comment: string): string {
  const lines = comment.split('\n').map((line) => line.replace(/^\s*\* ?/, ''));
  const [paragraph] = lines
    .join('\n')
    .trim()
    .split(/\n\s*\n|\n@/);
  return paragraph!.replaceAll('**', '').replace(/\s+/g, ' ');
}
