/**
 * What a quantised base costs and saves: trains the demo's adapter (examples/bike-shop) on the real SmolLM2-135M once for each
 * `base_dtype`, each measurement in a separate process, and prints the figures of results.md. About three minutes each.
 *
 * node --import tsx bench/quantised-base/main.ts [--only nf4,int8] [--seed 42] [--output data/bench/quantised-base.json]
 * Results are added to the output file, so that parts can be run apart.
 */

import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import {
  defaultPeft,
  parsePeftConfig,
  type ResolvedTraining,
  resolveTraining,
} from '@graft/peft-core/config';
import { openBaseModel } from '@graft/peft-core/files';
import { outlineOf } from '@graft/peft-core/outlines';
import { environmentFor } from '@graft/peft-core/precision';
import { commandLine } from '../../scripts/command-line.ts';
import { dataSizeOf } from '../../scripts/methods/data-size.ts';
import { plainTable } from '../../scripts/methods/markdown-table.ts';
import { packagedModel } from '../../scripts/methods/packaged-model.ts';
import { methodName, methodSettings } from '../../scripts/methods/settings.ts';
import { type HeldBytes, measureWeights } from './measure-weights.ts';
import { type Plan, runTask, type TaskResults } from './run-task.ts';

type Storage = Exclude<ResolvedTraining['base_dtype'], 'auto'>;
type Measured = Omit<TaskResults, 'weights'> & {
  dtype: Storage;
  seed: number;
  held: HeldBytes;
  linearValues: number;
};

const options = commandLine({
  only: { type: 'string', default: 'fp32,bf16,int8,nf4' },
  seed: { type: 'string', default: '42' },
  output: { type: 'string', default: 'data/bench/quantised-base.json' },
});
const seed = Number(options.seed);
const example = join(import.meta.dirname, '../../examples/bike-shop');
const { peft: asked, epochs } = methodSettings[methodName(defaultPeft.peft_type)]!;
const peft = parsePeftConfig(asked);
const trainingFile = join(example, 'train.jsonl');
const size = dataSizeOf(await readFile(trainingFile));
const model = await packagedModel('smollm2');
const base = await openBaseModel(model);
const outline = outlineOf(base.config);
await base.close();
const folder = await mkdtemp(join(tmpdir(), 'graft-bench-'));
const all: Measured[] = existsSync(options.output) ? JSON.parse(await readFile(options.output, 'utf8')) : [];
try {
  for (const dtype of options.only.split(',') as Storage[]) {
    const settle = (more: object) =>
      resolveTraining({
        peft,
        model: outline,
        ...size,
        hyperparameters: { n_epochs: epochs, batch_size: 8 },
        training: { max_seq_length: 128, base_dtype: dtype, seed, eval_steps: 1_000_000, ...more },
      });
    const adapter = join(folder, dtype);
    const heldOutFile = join(example, 'heldout.jsonl');
    const plan = { model, trainingFile, heldOutFile, peft, adapter };
    const run = <T extends Plan['task']>(task: T, more: object, env: Record<string, string>) =>
      runTask({ ...plan, task, training: settle(more) }, env);
    process.stderr.write(`${dtype}, seed ${seed}\n`);
    const products = environmentFor('auto');
    const { held, model: logged } = await measureWeights({ ...plan, training: settle({}) });
    const measured: Measured = {
      dtype,
      seed,
      held,
      linearValues: logged.linearValues,
      train: await run('train', {}, products),
      answer: await run('answer', {}, environmentFor('fp32')),
    };
    all.push(measured);
    await mkdir(dirname(options.output), { recursive: true });
    await writeFile(options.output, `${JSON.stringify(all, null, 1)}\n`);
  }
} finally {
  await rm(folder, { recursive: true, force: true });
}
console.log(table());

/** Everything measured so far, by dtype; ratios are to fp32, and figures of several seeds are means. */
function table(): string {
  const of = (dtype: string) => all.filter((one) => one.dtype === dtype);
  const mean = (runs: Measured[], figure: (one: Measured) => number) =>
    runs.reduce((sum, one) => sum + figure(one), 0) / runs.length;
  const ratio = (runs: Measured[], figure: (one: Measured) => number) =>
    `${(mean(runs, figure) / mean(of('fp32'), figure)).toFixed(3)}×`;
  const memory = (runs: Measured[], bytes: (one: Measured) => number) =>
    `${(mean(runs, bytes) / 1e6).toFixed(1)} MB, ${ratio(runs, bytes)}`;
  const rows = ['fp32', 'bf16', 'int8', 'nf4']
    .filter((dtype) => of(dtype).length > 0)
    .map((dtype) => {
      const runs = of(dtype);
      const linear = (one: Measured) => one.held.linear;
      const whole = (one: Measured) => one.held.linear + one.held.embedding + one.held.norms;
      const right = runs.map((one) => `${one.answer.right}`).join(', ');
      return [
        dtype,
        memory(runs, linear),
        memory(runs, whole),
        memory(runs, (one) => one.train.loadedBytes),
        memory(runs, (one) => one.train.peakBytes),
        ratio(runs, (one) => one.train.tokensPerSecond),
        mean(runs, (one) => one.train.heldOutLoss).toFixed(4),
        `${mean(runs, (one) => (100 * one.answer.right) / one.answer.of).toFixed(1)} % (${right} of ${runs[0]!.answer.of})`,
      ];
    });
  const header = [
    'base_dtype',
    'linear weights',
    'all weights',
    'process with weights loaded',
    'peak of process',
    'tokens/s',
    'held-out loss',
    'held-out accuracy',
  ];
  return plainTable(header, rows);
}
