/**
 * Limits on the layout of the sources: no import cycles, no long files, and files with one concept each.
 * STRUCTURE_IN=apps/cli,bench checks only these folders.
 */
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, test } from 'node:test';
import { scratchFolder } from '../golden/fixtures/scratch-folder.ts';
import {
  areas,
  folderCircles,
  importCircles,
  lonelyFiles,
  longFiles,
  medianLines,
  sourceFiles,
} from './source-tree.ts';

const root = join(import.meta.dirname, '..', '..');
const MOST_LINES = 600;
const LEAST_MEDIAN = 55;

const files = sourceFiles(root, process.env.STRUCTURE_IN?.split(',') ?? areas);

test('no import circles, type-only ones included', () => {
  assert.ok(files.length > 0);
  assert.deepEqual(importCircles(root, files), []);
});

test('no import circles between the folders of a package, type-only imports included', () => {
  const circles = folderCircles(root, files);
  assert.equal(circles.length, 0, circles.join('\n\n'));
});

test(`no file of source is longer than ${MOST_LINES} lines`, () => {
  assert.deepEqual(longFiles(files, MOST_LINES), []);
});

test(`half of the files that are no tests have at least ${LEAST_MEDIAN} lines`, () => {
  const median = medianLines(files);
  assert.ok(median >= LEAST_MEDIAN, `the median is ${median}`);
});

/** Short files with one importer that stay apart, by reason. */
const apart: Record<string, string[]> = {
  'reads files beside itself, or starts a thread from there': [
    'apps/api/src/reports/compute-report.ts',
    'apps/worker/src/cards/installed-build.ts',
    'packages/peft-core/src/generate/constrained/grammar-library.ts',
    'scripts/gpu-gate/kernels.ts',
    'scripts/supply-chain/image-references.ts',
    'bench/estimates/data.ts',
  ],
  'runs in a thread or process, or is tested without one': [
    'packages/peft-core/src/generate/constrained/grammar-vocabulary.ts',
    'scripts/fuzz/fuzz-thread.ts',
    'scripts/methods/one-run.ts',
    'apps/web/src/shell/shell.tsx',
    'apps/web/src/shell/sign-in.tsx',
  ],
  'a rule or a list names it': [
    'apps/cli/src/team/audit.ts',
    'packages/service/src/observe/read-gauges.ts',
    'scripts/backup/restore-database.ts',
    'packages/service/src/base-models/added/team-catalogue.ts',
    'packages/service/src/base-models/create-base-model-catalogue.ts',
    'packages/service/src/deploy/runtimes/vllm.ts',
    'packages/peft-core/src/tuners/bottleneck/method.ts',
    'packages/peft-core/src/tuners/module-kinds.ts',
  ],
  'loads a library only where it is used': [
    'packages/service/src/storage/open-stores.ts',
    'packages/service/src/generation/post-to-worker.ts',
  ],
  'has the same names as its importer': [
    'packages/peft-core/src/train/advice/advice.ts',
    'apps/web/src/pages/playground/texts/classes.tsx',
    'apps/web/src/pages/adapter/lineage-layout.ts',
    'packages/peft-core/src/exports/copy-file.ts',
    'apps/cli/src/remote/trials.ts',
  ],
};

test('a file has two importers or 150 lines, or does not fit into its importer', () => {
  const lonely = lonelyFiles(root, files).filter(
    (line) => !Object.values(apart).flat().includes(line.split(' ')[0]!),
  );
  assert.deepEqual(lonely, [], 'move what they contain into the file that imports them');
});

test('the dashboard and the command read whole lists: a page may end before its limit', () => {
  const pages = files.filter(
    ({ path }) => /^apps\/(?:cli|web)\/src\//.test(path) && !/test|data\/pages\.ts$/.test(path),
  );
  assert.deepEqual(
    pages.filter(({ text }) => /\)\s*\.page\(/.test(text)).map(({ path }) => path),
    [],
  );
});

describe('each check can fail', () => {
  const tree = scratchFolder('structure');
  const write = (path: string, text: string) => {
    mkdirSync(dirname(join(tree, path)), { recursive: true });
    writeFileSync(join(tree, path), text);
  };

  test('circles: of values, types, re-exports, import(), and through a package', () => {
    const circles: Record<string, string[]> = {
      'value ends': ["import { b } from './b.ts';", "import {\n  a,\n} from './a.ts';"],
      'type only': ["import type { B } from './b.ts';", "import { a } from './a.ts';"],
      'inline type': ["import { type B } from './b.ts';", "let a: import('./a.ts').A;"],
      're-export': ["export * from './b.ts';", "export type { A } from './a.ts';"],
      'side effect': ["import './b.ts';", "const a = await import('./a.ts');"],
      package: ["import { b } from './b.ts';", "import { a } from '@graft/one/sub';"],
    };
    write('packages/one/package.json', '{"name":"@graft/one","exports":{".":"./b.ts","./sub":"./a.ts"}}');
    for (const [name, [a, b]] of Object.entries(circles)) {
      write('packages/one/a.ts', `import { join } from 'node:path';\n${a}\n`);
      write('packages/one/b.ts', `${b}\n`);
      const found = importCircles(tree, sourceFiles(tree));
      assert.deepEqual(found, ['packages/one/a.ts → packages/one/b.ts → packages/one/a.ts'], name);
    }
    write('packages/one/a.ts', "import { c } from './c.mjs';\n");
    write('packages/one/b.ts', "import { a } from './a.ts';\n");
    write('packages/one/c.mjs', "import { b } from './b.ts';\n");
    assert.deepEqual(importCircles(tree, sourceFiles(tree)), [
      'packages/one/a.ts → packages/one/c.mjs → packages/one/b.ts → packages/one/a.ts',
    ]);
    write('packages/one/c.mjs', "// import { b } from './b.ts';\n/*\nimport { b } from './b.ts';\n*/\n");
    assert.deepEqual(importCircles(tree, sourceFiles(tree)), []);
  });

  test('circles between folders: through nested folders and files of src, not through tests', () => {
    const a = 'packages/three/src/a/one.ts';
    const b = 'packages/three/src/b/deep/two.ts';
    const c = 'packages/three/src/c.ts';
    write(a, "import type { B } from '../b/deep/two.ts';\n");
    write(b, 'export interface B {}\n');
    write('packages/three/src/b/three.ts', "import { c } from '../c.ts';\n");
    write(c, "import { four } from './a/four.ts';\n");
    write('packages/three/src/a/four.ts', 'export const four = 4;\n');
    write('packages/three/src/b/two.test.ts', "import { one } from '../a/one.ts';\n");
    write('packages/three/src/b/testing/two.ts', "import { one } from '../../a/one.ts';\n");
    const three = () => sourceFiles(tree, ['packages/three']);
    assert.deepEqual(importCircles(tree, three()), []);
    const [circle, ...others] = folderCircles(tree, three());
    assert.deepEqual(others, []);
    assert.deepEqual(circle?.split('\n'), [
      'packages/three/src/a → packages/three/src/b → packages/three/src/c.ts → packages/three/src/a',
      `  ${a} imports ${b}`,
      `  packages/three/src/b/three.ts imports ${c}`,
      `  ${c} imports packages/three/src/a/four.ts`,
    ]);
    write(c, 'export const c = 3;\n');
    assert.deepEqual(folderCircles(tree, three()), []);
  });

  test('a short file with one importer, that is no list', () => {
    write(
      'packages/four/src/one.ts',
      "import { two } from './two.ts';\nimport { three } from './deep/three.ts';\n",
    );
    write('packages/four/src/two.ts', 'export const two = 2;\n');
    write('packages/four/src/deep/three.ts', 'export const three = 3;\n'.repeat(9));
    write('packages/four/src/deep/three.test.ts', "import { three } from './three.ts';\n");
    const lonely = (limits: object) => lonelyFiles(tree, sourceFiles(tree, ['packages/four']), limits);
    assert.deepEqual(lonely({ short: 5 }), ['packages/four/src/two.ts (packages/four/src/one.ts)']);
    assert.equal(lonely({}).length, 2);
    assert.deepEqual(lonely({ list: 2 }), []);
    assert.deepEqual(lonely({ short: 5, most: 2 }), []);
  });

  test('folders and files', () => {
    for (let i = 0; i < 4; i++) write(`apps/two/src/${i}.ts`, 'one\n'.repeat(i + 1));
    write('apps/two/src/data.json', '{}');
    write('apps/two/src/testing/long.ts', 'one\n'.repeat(9));
    write('apps/two/node_modules/other/index.ts', 'one\n'.repeat(99));
    const two = sourceFiles(tree, ['apps']);
    assert.deepEqual(longFiles(two, 3), [
      'apps/two/src/3.ts: 4 lines',
      'apps/two/src/testing/long.ts: 9 lines',
    ]);
    assert.deepEqual(longFiles(two, 9), []);
    assert.equal(medianLines(two), 2.5);
  });
});

test('no object literal is spread into another one', () => {
  const found = files.flatMap(({ path, text }) =>
    text
      .split('\n')
      .flatMap((line, at) =>
        /\.\.\.\{/.test(line) && !/^\s*(?:\/\/|\*)/.test(line) ? [`${path}:${at + 1}`] : [],
      ),
  );
  assert.deepEqual(found, [], 'write its fields out');
});
