/**
 * Costs and savings of a quantised base: trains the demo's adapter (examples/bike-shop) on the real SmolLM2-135M once for each
 * `base_dtype`, each measurement in a separate process, and prints the figures of results.md. About three minutes each.
 *
 * node --import tsx bench/quantised-base/main.ts [--only nf4,int8] [--seed 42] [--output data/bench/quantised-base.json]
 * Results are added to the output file, so that parts can be run apart.
 */
import { existsSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { defaultPeft, parsePeftConfig, resolveTraining } from '@graft/peft-core/config';
import { openBaseModel } from '@graft/peft-core/files';
import { outlineOf } from '@graft/peft-core/outlines';
import { environmentFor } from '@graft/peft-core/precision';
import { commandLine, listOf } from '../../scripts/command-line.ts';
import { sum } from '../../scripts/measuring/report.ts';
import { dataSizeOf } from '../../scripts/methods/data-size.ts';
import { plainTable } from '../../scripts/methods/markdown-table.ts';
import { packagedModel } from '../../scripts/methods/packaged-model.ts';
import { methodName, methodSettings } from '../../scripts/methods/settings.ts';
import { scratchFolder } from '../../test/golden/fixtures/scratch-folder.ts';
import { type HeldBytes, measureWeights, type Plan, runTask, type TaskResults } from './measure-weights.ts';

const storages = ['fp32', 'bf16', 'int8', 'nf4'] as const;
type Measured = Omit<TaskResults, 'weights'> & {
  dtype: (typeof storages)[number];
  seed: number;
  held: HeldBytes;
  linearValues: number;
};

const { seed, ...options } = commandLine(
  {
    only: { type: 'string', default: storages.join() },
    output: { type: 'string', default: 'data/bench/quantised-base.json' },
  },
  { seed: 42 },
  { seed: 0 },
);
const example = join(import.meta.dirname, '../../examples/bike-shop');
const { peft: asked, epochs } = methodSettings[methodName(defaultPeft.peft_type)]!;
const peft = parsePeftConfig(asked);
const [trainingFile, heldOutFile] = [join(example, 'train.jsonl'), join(example, 'heldout.jsonl')];
const size = dataSizeOf(await readFile(trainingFile));
const model = await packagedModel('smollm2');
const base = await openBaseModel(model);
const outline = outlineOf(base.config);
await base.close();
const folder = scratchFolder('quantised');
const all: Measured[] = existsSync(options.output) ? JSON.parse(await readFile(options.output, 'utf8')) : [];
for (const dtype of listOf('only', options.only, storages)) {
  const training = resolveTraining({
    peft,
    model: outline,
    ...size,
    hyperparameters: { n_epochs: epochs, batch_size: 8 },
    training: { max_seq_length: 128, base_dtype: dtype, seed, eval_steps: 1_000_000 },
  });
  const plan: Omit<Plan, 'task'> = {
    model,
    trainingFile,
    heldOutFile,
    peft,
    training,
    adapter: join(folder, dtype),
  };
  console.error(`${dtype}, seed ${seed}`);
  const { held, model: logged } = await measureWeights(plan);
  const train = await runTask({ ...plan, task: 'train' }, environmentFor('auto'));
  const answer = await runTask({ ...plan, task: 'answer' }, environmentFor('fp32'));
  all.push({ dtype, seed, held, linearValues: logged.linearValues, train, answer });
  await mkdir(dirname(options.output), { recursive: true });
  await writeFile(options.output, `${JSON.stringify(all, null, 1)}\n`);
}
console.log(table());

/** Everything measured so far, by dtype; ratios are to fp32, and figures of several seeds are means. */
function table(): string {
  const of = (dtype: string) => all.filter((one) => one.dtype === dtype);
  type Figure = (one: Measured) => number;
  const mean = (runs: Measured[], figure: Figure) => sum(runs.map(figure)) / runs.length;
  const ratio = (runs: Measured[], figure: Figure) =>
    `${(mean(runs, figure) / mean(of('fp32'), figure)).toFixed(3)}×`;
  const bytes: Record<string, Figure> = {
    'linear weights': ({ held }) => held.linear,
    'all weights': ({ held }) => held.linear + held.embedding + held.norms,
    'process with weights loaded': ({ train }) => train.loadedBytes,
    'peak of process': ({ train }) => train.peakBytes,
  };
  const rows = storages
    .filter((dtype) => of(dtype).length > 0)
    .map((dtype) => {
      const runs = of(dtype);
      const right = runs.map(({ answer }) => `${answer.right}`).join(', ');
      const accuracy = mean(runs, ({ answer }) => (100 * answer.right) / answer.of).toFixed(1);
      return [
        dtype,
        ...Object.values(bytes).map(
          (figure) => `${(mean(runs, figure) / 1e6).toFixed(1)} MB, ${ratio(runs, figure)}`,
        ),
        ratio(runs, ({ train }) => train.tokensPerSecond),
        mean(runs, ({ train }) => train.heldOutLoss).toFixed(4),
        `${accuracy} % (${right} of ${runs[0]!.answer.of})`,
      ];
    });
  const header = ['base_dtype', ...Object.keys(bytes), 'tokens/s', 'held-out loss', 'held-out accuracy'];
  return plainTable(header, rows);
}
