/** The TensorFlow-free entry points of peft-core do not load TensorFlow, even indirectly. The linter checks only direct imports. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { dirname, join, posix } from 'node:path';
import { test } from 'node:test';
import { packageEntries } from './source-tree.ts';

const root = join(import.meta.dirname, '../..');
const entries = packageEntries(root);
const engine = /^@graft\/tf-graph$|^@tensorflow\//;

/** The modules that a file loads at run time: imports and re-exports, except type-only ones. */
function loads(file: string): string[] {
  const source = readFileSync(join(root, file), 'utf8');
  const statements = source.matchAll(/^(?:import|export) (?!type )(?:[^;]*? from )?'([^']+)';/gm);
  return [...statements].map(([, name]) => name ?? '');
}

/** The import path from `entry` to a file that loads TensorFlow; null where there is none. */
function wayToEngine(entry: string): string[] | null {
  const cameFrom = new Map<string, string | null>([[entry, null]]);
  for (const file of cameFrom.keys()) {
    for (const name of loads(file)) {
      if (engine.test(name)) {
        const way = [name];
        for (let at: string | null = file; at !== null; at = cameFrom.get(at) ?? null) way.unshift(at);
        return way;
      }
      const target = name.startsWith('.') ? posix.join(dirname(file), name) : entries.get(name);
      if (target !== undefined && !cameFrom.has(target)) cameFrom.set(target, file);
    }
  }
  return null;
}

for (const [name, file] of entries) {
  if (!name.startsWith('@graft/peft-core')) continue;
  const whole = name === '@graft/peft-core';
  test(`${name} ${whole ? 'loads' : 'does not load'} TensorFlow`, () => {
    const way = wayToEngine(file);
    if (whole) assert.ok(way);
    else assert.equal(way, null);
  });
}
