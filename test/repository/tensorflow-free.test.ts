/** Entry points of peft-core that say so load no TensorFlow, whichever way their imports go. Lint sees one import at a time. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { test } from 'node:test';

const folder = join(import.meta.dirname, '../../packages/peft-core');
const { exports } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as {
  exports: Record<string, string>;
};
const isEngine = (specifier: string) => /^@(graft\/tf-graph|tensorflow)\b/.test(specifier);

/** What a file loads when it is loaded: imports and re-exports but those of types alone. */
function loads(file: string): string[] {
  const source = readFileSync(file, 'utf8');
  const statements = source.matchAll(/^(?:import|export) (?!type )(?:[^;]*? from )?'([^']+)';/gm);
  return [...statements].map(([, specifier]) => specifier ?? '');
}

/** The files from `entry` to one that loads TensorFlow; null when none does. */
function wayToEngine(entry: string): string[] | null {
  const seen = new Map<string, string | null>([[entry, null]]);
  for (const file of seen.keys()) {
    for (const specifier of loads(file)) {
      if (isEngine(specifier)) {
        const way = [specifier];
        for (let at: string | null = file; at !== null; at = seen.get(at) ?? null)
          way.unshift(relative(folder, at));
        return way;
      }
      if (!specifier.startsWith('.')) continue;
      const target = join(dirname(file), specifier);
      if (!seen.has(target)) seen.set(target, file);
    }
  }
  return null;
}

for (const [name, file] of Object.entries(exports)) {
  const loadsEngine = name === '.';
  test(`@graft/peft-core${name.slice(1)} ${loadsEngine ? 'loads' : 'does not load'} TensorFlow`, () => {
    const way = wayToEngine(join(folder, file));
    if (loadsEngine) assert.ok(way);
    else assert.equal(way, null);
  });
}
