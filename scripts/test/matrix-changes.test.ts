import assert from 'node:assert/strict';
import { appendFileSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { matrixChanges, recordWholeMatrix } from './matrix-changes.ts';

const core = 'packages/peft-core/src';
const known = new Set(['lora', 'ln-tuning', 'qwen2']);
const sources = [
  `${core}/tuners/lora/tuner.ts`,
  `${core}/tuners/ln-tuning/tuner.ts`,
  `${core}/tuners/registry.ts`,
  `${core}/models/qwen2.ts`,
  `${core}/models/decoder.ts`,
  `${core}/outlines/qwen2.ts`,
  `${core}/nn/attention/rotary.ts`,
  'packages/tf-graph/native/kernels/norm.h',
  'scripts/golden/references/train.py',
  'test/golden/matrix/methods.ts',
];
const packages = 'environment/lib/python3.11/site-packages';
let root: string;
let python: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'graft-matrix-'));
  for (const path of sources) write(path, 'one\n');
  python = join(root, 'environment/bin/python');
  mkdirSync(join(root, packages, 'torch-2.13.0+cpu.dist-info'), { recursive: true });
  recordWholeMatrix(root, [python]);
});
afterEach(() => rmSync(root, { recursive: true, force: true }));
const changes = () => matrixChanges(root, known, [python]);

function write(path: string, text: string): void {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), text);
}

test('after the whole matrix passed, nothing has changed; comments and tests are no change', () => {
  assert.deepEqual(changes(), []);
  write(`${core}/nn/attention/rotary.ts`, '// A comment.\none\n  /** Another,\n   * longer.\n   */\n');
  write(`${core}/tuners/lora/tuner.test.ts`, 'test\n');
  assert.deepEqual(changes(), []);
});

test('a change of a method or of a model type is named', () => {
  appendFileSync(join(root, core, 'tuners/lora/tuner.ts'), 'two\n');
  assert.deepEqual(changes(), ['lora']);
  write(`${core}/outlines/qwen2.ts`, 'two\n');
  write(`${core}/tuners/ln-tuning/merge.ts`, 'new\n');
  assert.deepEqual(changes(), ['ln-tuning', 'lora', 'qwen2']);
  recordWholeMatrix(root, [python]);
  assert.deepEqual(changes(), []);
});

for (const path of [
  `${core}/tuners/registry.ts`,
  `${core}/models/decoder.ts`,
  `${core}/models/new-type.ts`,
  `${core}/nn/attention/rotary.ts`,
  'packages/tf-graph/native/kernels/norm.h',
  'scripts/golden/references/train.py',
  'test/golden/matrix/methods.ts',
])
  test(`a change of ${path} concerns every cell`, () => {
    write(path, 'two\n');
    assert.deepEqual(changes(), ['*']);
  });

test('so does a file that is gone, a minor version of a library, and a matrix that never passed', () => {
  const version = (name: string) => join(root, packages, `torch-${name}.dist-info`);
  renameSync(version('2.13.0+cpu'), version('2.13.1'));
  assert.deepEqual(changes(), []);
  renameSync(version('2.13.1'), version('2.14.0'));
  assert.deepEqual(changes(), ['*']);
  assert.deepEqual(matrixChanges(root, known, []), []);
  recordWholeMatrix(root, [python]);
  rmSync(join(root, core, 'models/decoder.ts'));
  assert.deepEqual(changes(), ['*']);
  rmSync(join(root, 'test/golden/matrix/whole-matrix.json'));
  assert.deepEqual(changes(), ['*']);
});
