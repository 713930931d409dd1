/**
 * Effect on a search of training on pairs with default options: descriptions of Node's API, from @types/node, find the function that
 * they describe among all of them. The functions of the held-out queries are in no training pair. Trains MiniLM, and prints recall
 * before and after for results.md; some two minutes.
 *
 * node --import tsx bench/retrieval/main.ts [--seed 42] [--training '{"batch_size":8}']
 */

import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { scoreTexts, train } from '@graft/peft-core';
import { defaultPeft, parsePeftConfig, parseTrainingOptions, resolveTraining } from '@graft/peft-core/config';
import { openBaseModel } from '@graft/peft-core/files';
import { outlineOf } from '@graft/peft-core/outlines';
import { commandLine } from '../../scripts/command-line.ts';
import { gigabytes, sum } from '../../scripts/measuring/report.ts';
import { dataSizeOf } from '../../scripts/methods/data-size.ts';
import { plainTable } from '../../scripts/methods/markdown-table.ts';
import { packagedModel } from '../../scripts/methods/packaged-model.ts';
import { nodeDocumentation, plain } from '../../scripts/sweep/rows/node-documentation.ts';
import { scratchFolder } from '../../test/golden/fixtures/scratch-folder.ts';

const { seed, ...options } = commandLine(
  { training: { type: 'string', default: '{}' } },
  { seed: 42 },
  { seed: 0 },
);

/** Functions whose descriptions are the queries. */
const heldOutFunctions = 250;

const pairs = nodeDocumentation().map(({ module, name, text }) => ({
  anchor: plain(text),
  positive: `${module}.${name}`,
}));
const corpus = [...new Set(pairs.map(({ positive }) => positive))];
const heldOut = new Set(corpus.slice(0, heldOutFunctions));
const queries = pairs.filter(({ positive }) => heldOut.has(positive));
const lines = pairs.filter(({ positive }) => !heldOut.has(positive)).map((pair) => JSON.stringify(pair));

const base = await openBaseModel(await packagedModel('minilm'));
const folder = scratchFolder('retrieval');
const [trainingFile, outputDir] = [join(folder, 'pairs.jsonl'), join(folder, 'adapter')];
await writeFile(trainingFile, lines.join('\n'));
const peft = parsePeftConfig({ ...defaultPeft, task_type: 'FEATURE_EXTRACTION' });
const training = resolveTraining({
  peft,
  ...dataSizeOf(lines),
  model: outlineOf(base.config, peft.task_type),
  training: { seed, ...parseTrainingOptions(JSON.parse(options.training)) },
});
const before = await measured(null);
const began = performance.now();
let [steps, peak] = [0, 0];
const records = train({ base, baseModelName: 'minilm', trainingFile, peft, training, outputDir });
for await (const record of records)
  if (record.type === 'done') [steps, peak] = [record.steps, record.peakMemoryBytes];
const seconds = (performance.now() - began) / 1000;
const after = await measured(outputDir);
await base.close();
const { batch_size: batch, mini_batch_size: mini, learning_rate: rate } = training;
console.log(
  `${lines.length} pairs, ${queries.length} held-out queries, ${corpus.length} candidates; ${steps} steps of ${batch}, mini_batch_size ${mini}, rate ${rate}: ${seconds.toFixed(0)} s, ${gigabytes(peak)} GB`,
);
const rows = Object.entries({ before, after }).map(([name, figures]) => [
  name,
  ...figures.map((figure) => figure.toFixed(3)),
]);
console.log(plainTable(['', 'recall@1', 'recall@10', 'MRR'], rows));

/** Recall at 1, at 10, and the mean reciprocal rank of the queries' functions among all. */
async function measured(adapterDir: string | null): Promise<number[]> {
  const candidates = await unitVectors(adapterDir, corpus);
  const anchors = queries.map(({ anchor }) => anchor);
  const vectors = await unitVectors(adapterDir, anchors);
  const ranks = queries.map(({ positive }, i) => {
    const cosines = candidates.map((candidate) => dot(vectors[i]!, candidate));
    const own = cosines[corpus.indexOf(positive)]!;
    return cosines.filter((cosine) => cosine >= own).length;
  });
  const mean = (of: (rank: number) => number) => sum(ranks.map(of)) / ranks.length;
  return [mean((rank) => Number(rank === 1)), mean((rank) => Number(rank <= 10)), mean((rank) => 1 / rank)];
}

async function unitVectors(adapterDir: string | null, texts: readonly string[]): Promise<number[][]> {
  const vectors: number[][] = [];
  for await (const score of scoreTexts({ base, adapterDir, input: texts.map((text) => ({ text })) })) {
    if (!('embedding' in score)) throw new Error('the model does not embed');
    const vector = [...score.embedding] as number[];
    const length = Math.sqrt(dot(vector, vector));
    vectors.push(vector.map((x) => x / length));
  }
  return vectors;
}

function dot(a: readonly number[], b: readonly number[]): number {
  return sum(a.map((x, i) => x * b[i]!));
}
