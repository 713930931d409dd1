import { readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { permutation, Random } from '../../../packages/peft-core/src/random.ts';

/** Documentation of a member of Node's API in @types/node, whose version package.json fixes. */
export interface Documented {
  module: string;
  name: string;
  /** First paragraph, 40 to 160 characters; code is in backticks. */
  text: string;
}

const comment =
  /\/\*\*((?:(?!\*\/)[\s\S])*)\*\/\s*(?:export |declare |static |readonly |abstract |protected )*(?:function |class |interface |const |type |get |set )?(\w+)\s*[?(:<]/g;

/** Ten modules, which are classes of descriptions. */
export const topics = 'fs crypto http http2 util test tls perf_hooks stream buffer'.split(' ');

export const plain = (text: string): string => text.replaceAll('`', '');

/** Each paragraph once, in an order that has nothing to do with the files'. */
export function nodeDocumentation(): Documented[] {
  const folder = dirname(createRequire(import.meta.url).resolve('@types/node/package.json'));
  const files = readdirSync(folder)
    .filter((name) => name.endsWith('.d.ts') && name !== 'index.d.ts')
    .sort();
  const byText = new Map<string, Documented>();
  for (const file of files) {
    const module = file.slice(0, file.indexOf('.'));
    for (const [, body, name] of readFileSync(join(folder, file), 'utf8').matchAll(comment)) {
      const text = firstParagraph(body!);
      const fits = text.length >= 40 && text.length <= 160 && !text.startsWith('@') && !name!.startsWith('_');
      if (fits && !byText.has(text)) byText.set(text, { module, name: name!, text });
    }
  }
  const all = [...byText.values()];
  return [...permutation(all.length, new Random(0, 'order'))].map((at) => all[at]!);
}

function firstParagraph(body: string): string {
  const lines = body.split('\n').map((line) => line.replace(/^\s*\*? ?/, ''));
  const [paragraph] = lines
    .join('\n')
    .trim()
    .split(/\n\s*\n|\n@|```/);
  return paragraph!
    .replace(/\{@link (\S+?)(?: ([^}]*))?\}/g, (_, target, shown) => shown ?? target)
    .replace(/\[([^\]]*)\]\([^)]*\)/g, '$1')
    .replace(/\s+/g, ' ');
}
