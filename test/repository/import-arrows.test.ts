/** The import rules of docs/architecture.md are enforced: Biome rejects the forbidden imports below, and allows the others. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { scratchFolder } from '../golden/fixtures/scratch-folder.ts';

const root = join(import.meta.dirname, '..', '..');

/** [importing file, imported module, whether it is allowed] */
const cases: [string, string, boolean][] = [
  ['apps/api/src/probe.ts', '@graft/peft-core', false],
  ['apps/api/src/probe.ts', '@graft/tf-graph', false],
  ['apps/api/src/probe.ts', '@tensorflow/tfjs-core', false],
  ['apps/api/src/probe.ts', '@graft/peft-core/config', true],
  ['apps/api/src/probe.ts', '@graft/service/jobs', true],
  ['apps/api/src/probe.ts', '@graft/worker', false],
  ['apps/worker/src/probe.ts', '@graft/api', false],
  ['apps/worker/src/probe.ts', '@graft/peft-core', true],
  ['apps/worker/src/probe.ts', '../../cli/src/program.ts', false],
  ['apps/web/src/probe.ts', '@graft/client', true],
  ['apps/web/src/probe.ts', '@graft/wire/lists', true],
  ['apps/web/src/probe.ts', '@graft/wire/schema', false],
  ['apps/web/src/probe.ts', '@graft/service/jobs', false],
  ['apps/web/src/probe.ts', '@graft/peft-core/config', false],
  ['packages/service/src/probe.ts', '@graft/peft-core', false],
  ['packages/service/src/probe.ts', '@graft/peft-core/files', true],
  ['packages/wire/src/probe.ts', '@graft/service/jobs', false],
  ['packages/wire/src/probe.ts', '@graft/peft-core', false],
  ['packages/wire/src/probe.ts', '@graft/peft-core/config', true],
  ['packages/client/src/probe.ts', '@graft/service/jobs', false],
  ['packages/tf-graph/src/probe.ts', '@graft/peft-core', false],
  ['packages/peft-core/src/nn/probe.ts', '../models/decoder.ts', false],
  ['packages/peft-core/src/models/probe.ts', '../nn/linear.ts', true],
  ['packages/peft-core/src/models/probe.ts', '../tuners/registry.ts', false],
  ['packages/peft-core/src/tuners/lora/probe.ts', '../../models/architecture.ts', true],
  ['packages/peft-core/src/tuners/lora/probe.ts', '../ia3/layer.ts', false],
  ['packages/peft-core/src/tuners/lora/probe.ts', '../../train/loop.ts', false],
  ['packages/peft-core/src/tuners/lora/probe.ts', '../../config/index.ts', false],
  ['packages/peft-core/src/tuners/lora/tuner.ts', '@graft/tf-graph', true],
  ['packages/peft-core/src/tuners/lora/method.ts', '@graft/tf-graph', false],
  ['packages/peft-core/src/tuners/ia3/method.ts', '../../nn/linear.ts', false],
  ['packages/peft-core/src/tuners/selective/method.ts', './tuner.ts', false],
  ['packages/peft-core/src/tuners/p-tuning/method.ts', '../attach/saved-modules.ts', false],
  ['packages/peft-core/src/tuners/ln-tuning/method.ts', '../ia3/scaled-modules.ts', false],
  ['packages/peft-core/src/tuners/prefix-tuning/method.ts', '../target-modules.ts', true],
  ['packages/peft-core/src/tuners/prompt-tuning/method.ts', '../../outlines/outline.ts', true],
  ['packages/peft-core/src/tuners/methods.ts', './tuner.ts', false],
  ['packages/peft-core/src/tuners/check.ts', '../config/index.ts', false],
  ['packages/peft-core/src/tuners/registry.ts', './methods.ts', true],
  ['packages/peft-core/src/config/probe.ts', '../tuners/methods.ts', true],
  ['packages/peft-core/src/config/probe.ts', '../tuners/registry.ts', false],
  ['packages/peft-core/src/peft-model/peft-model.ts', './train/loop.ts', false],
  ['packages/peft-core/src/text/probe.ts', '@graft/tf-graph', false],
  ['packages/peft-core/src/gguf/probe.ts', '../models/registry.ts', false],
];

// One import per file, all in a separate tree with this repository's rules.
const folder = scratchFolder('arrows');
const { $schema: _schema, vcs: _vcs, ...rules } = JSON.parse(readFileSync(join(root, 'biome.json'), 'utf8'));
writeFileSync(join(folder, 'biome.json'), JSON.stringify(rules));
const probes = cases.map(([file, imported, allowed], i) => {
  const path = file.replace('probe.ts', `probe-${i}.ts`);
  mkdirSync(dirname(join(folder, path)), { recursive: true });
  writeFileSync(join(folder, path), `import * as probe from '${imported}';\nconsole.log(probe);\n`);
  return { path, imported, allowed };
});
const { stdout, stderr } = spawnSync(
  process.execPath,
  [
    join(root, 'node_modules/@biomejs/biome/bin/biome'),
    'lint',
    '--only=style/noRestrictedImports',
    '--max-diagnostics=none',
    '--reporter=github',
    '.',
  ],
  { cwd: folder, encoding: 'utf8' },
);

for (const { path, imported, allowed } of probes) {
  test(`${path} ${allowed ? 'may' : 'may not'} import ${imported}`, () => {
    const refused = stdout.includes(`/${path},line=`);
    assert.equal(refused, !allowed, `${stdout}\n${stderr}`);
  });
}
