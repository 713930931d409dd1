/** Compares training with operations compiled by XLA with the same training on stock operations. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { writeTinyModel } from '../../testing/tiny-model.ts';
import { compilerFlags } from '../precision.ts';

// With gradient checkpointing: recomputed operations must not be merged with their first run.
const training = (folder: string) => `
  import { openBaseModel } from '../../files.ts';
  import { trainAdapter, trainOptions } from '../../testing/train-adapter.ts';
  const lora = { peft_type: 'LORA', r: 4, lora_alpha: 8, target_modules: 'all-linear', task_type: 'CAUSAL_LM' };
  const { losses } = await trainAdapter(trainOptions({
    base: await openBaseModel('${folder}/model'),
    trainingFile: '${folder}/chats.jsonl',
    exampleCount: 28,
    peft: lora,
    training: { max_steps: 5, batch_size: 4, gradient_checkpointing: true },
    outputDir: '${folder}/adapter',
  }));
  console.log(JSON.stringify(losses));
`;

let folder: string;
before(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'graft-compiled-'));
  await writeTinyModel(path.join(folder, 'model'));
  const chats = Array.from({ length: 28 }, (_, i) => [
    { role: 'user', content: `why ${i}?` },
    { role: 'assistant', content: `it is ${i % 5}` },
  ]);
  const lines = chats.map((messages) => JSON.stringify({ messages }));
  await writeFile(path.join(folder, 'chats.jsonl'), lines.join('\n'));
});
after(() => rm(folder, { recursive: true }));

function trained(kernels: string, environment: Record<string, string> = {}): number[] {
  const { stdout, stderr } = spawnSync(
    process.execPath,
    ['--import', 'tsx', '--input-type=module', '--eval', training(folder)],
    {
      cwd: import.meta.dirname,
      encoding: 'utf8',
      env: { ...process.env, GRAFT_KERNELS: kernels, TF_SET_ONEDNN_FPMATH_MODE: '', ...environment },
    },
  );
  const losses: number[] = JSON.parse(stdout.trim().split('\n').at(-1) || '[]');
  assert.equal(losses.length, 5, stderr);
  return losses;
}

interface Cluster {
  nodes: number;
  scopes: Set<string>;
}

/** The clusters of a graph that TensorFlow wrote as text, and the operations of nodes outside any cluster. */
function clustersOf(text: string) {
  const clusters = new Map<string, Cluster>();
  const outside = new Set<string>();
  for (const node of `\n${text}`.split('\nnode {').slice(1)) {
    const attrOf = (key: string) => new RegExp(`key: "${key}"\\s*value \\{\\s*s: "([^"]+)"`).exec(node)?.[1];
    const name = attrOf('_XlaCluster');
    if (name === undefined) {
      outside.add(/\n {2}op: "(\w+)"/.exec(node)![1]!);
      continue;
    }
    const cluster = clusters.get(name) ?? { nodes: 0, scopes: new Set() };
    clusters.set(name, cluster);
    cluster.nodes++;
    cluster.scopes.add(attrOf('_XlaScope') ?? 'none');
  }
  return { clusters: [...clusters.values()], outside };
}

test('a compiled training learns the same, in a few programs that are compiled once', async () => {
  const [dumps, cache] = [path.join(folder, 'dumps'), path.join(folder, 'cache')];
  await Promise.all([dumps, cache].map((each) => mkdir(each)));
  const flags = compilerFlags(cache);
  const stock = trained('stock');
  const compiled = trained('xla', {
    TF_XLA_FLAGS: `${flags.TF_XLA_FLAGS} --tf_xla_clustering_debug`,
    TF_DUMP_GRAPH_PREFIX: dumps,
  });
  for (const [i, loss] of stock.entries()) assert.ok(Math.abs(compiled[i]! / loss - 1) < 1e-5, `step ${i}`);

  // The largest of the function graphs is that of the training step.
  const names = (await readdir(dumps)).filter((name) => name.startsWith('mark_for_compilation_annotated'));
  const texts = await Promise.all(names.map((name) => readFile(path.join(dumps, name), 'utf8')));
  const { clusters, outside } = clustersOf(texts.reduce((a, b) => (a.length > b.length ? a : b)));
  const nodes = clusters.reduce((sum, cluster) => sum + cluster.nodes, 0);
  assert.ok(nodes > 800 && clusters.length <= 16, `${nodes} nodes in ${clusters.length} clusters`);
  assert.deepEqual([...outside].sort(), ['VarHandleOp', '_Arg', '_Retval']);
  for (const { scopes } of clusters) assert.equal(scopes.size, 1);
  const scopes = new Set(clusters.flatMap(({ scopes }) => [...scopes]));
  for (const layer of [0, 1])
    for (const run of ['', '/again']) assert.ok(scopes.has(`model.layers.${layer}${run}`), `${layer}${run}`);

  const kept = (await readdir(cache)).sort();
  assert.ok(kept.length > 0);
  assert.deepEqual(trained('xla', flags), compiled);
  assert.deepEqual((await readdir(cache)).sort(), kept);
});
