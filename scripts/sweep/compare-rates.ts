/** Runs whose results are printed, and not kept: tables of docs/sweeps.md and docs/auto.md. */
import { join } from 'node:path';
import { parsePeftConfig, resolveTraining, type TrainingOptions } from '@graft/peft-core/config';
import { outlineOf } from '@graft/peft-core/outlines';
import { defaultMethod } from '../demo/options.ts';
import { plainTable } from '../methods/markdown-table.ts';
import { packagedModel } from '../methods/packaged-model.ts';
import { type RunPlan, sizeOf } from './sweep.ts';
import { models, tasks } from './tasks.ts';
import { openTrainer } from './trainer.ts';
import { peftOf } from './usual.ts';

/** Multiples of the automatic rate, or of that of a long, fresh run. */
const RATES = [1 / 8, 1 / 4, 1 / 2, 1, 2, 4];

/** Trains the usual adapter on rows of one task, as a job would. `close` lets the base model and all adapters go. */
async function openTask(name: string) {
  if (!(name in tasks)) throw new Error(`no task ${name}: there are ${Object.keys(tasks).join(', ')}`);
  const task = tasks[name]!;
  const trainer = await openTrainer(await packagedModel(task.model), task.model, { warm: true });
  const peft = parsePeftConfig(peftOf({ task: name, method: defaultMethod, options: {} }));
  const { training: rows, validation } = task.data();
  let runs = 0;

  function resolved(of: object[], training: TrainingOptions, continues: boolean) {
    const model = outlineOf(trainer.base.config, task.type);
    return resolveTraining({ peft, training, ...sizeOf(of), model, continues, hasValidationFile: true });
  }

  /** `adapter`: folder of the run's adapter. */
  async function run(of: object[], training: TrainingOptions, initialAdapter?: string) {
    const adapter = join(trainer.folder, `adapter-${runs++}`);
    const continues = initialAdapter !== undefined;
    const options = { peft, training: resolved(of, training, continues), adapter, title: name };
    const measured = await trainer.train(
      { training: of, validation },
      { ...options, ...(continues && { initialAdapter }) },
    );
    if (measured.loss === null) throw new Error(`${name}: training diverged`);
    return { ...measured, adapter };
  }

  return { rows, seeds: models[task.model].seeds.slice(0, 2), resolved, run, close: trainer.close };
}

type OpenTask = Awaited<ReturnType<typeof openTask>>;

async function forEachTask(names: string[], of: (name: string, task: OpenTask) => Promise<void>) {
  for (const name of names) {
    const task = await openTask(name);
    await of(name, task).finally(task.close);
  }
  return names.length;
}

const SHARES = [1 / 9, 1 / 4, 1 / 3, 1 / 2, 3 / 4];
const STEPS = 72;
/** A common divisor of the steps of all shares. */
const EVALUATED = 2;

/** How often the best of several learning rates is already the best after a part of its steps. Each trains to the end. */
export async function ranksOfRates({ words }: RunPlan): Promise<number> {
  const lines: string[][] = [];
  const names = words.length > 0 ? words : ['urgency', 'messages', 'descriptions'];
  const count = await forEachTask(names, async (name, { rows, seeds, resolved, run }) => {
    const automatic = resolved(rows, { max_steps: STEPS }, false).learning_rate;
    for (const seed of seeds) {
      const curves: { times: number; losses: Map<number, number> }[] = [];
      for (const times of RATES) {
        const training = { max_steps: STEPS, eval_steps: EVALUATED, learning_rate: automatic * times, seed };
        const { evaluations } = await run(rows, training);
        curves.push({ times, losses: new Map(evaluations.map(({ step, loss }) => [step, loss])) });
      }
      const bestAt = (step: number) =>
        curves.reduce((a, b) => (b.losses.get(step)! < a.losses.get(step)! ? b : a));
      const best = bestAt(STEPS);
      const picks = SHARES.map((share) => {
        const pick = bestAt(STEPS * share);
        const worse = pick.losses.get(STEPS)! / best.losses.get(STEPS)! - 1;
        return `${pick.times}${pick === best ? '' : ` (+${Math.round(100 * worse)} %)`}`;
      });
      lines.push([name, `${seed}`, `${best.times}`, ...picks]);
      console.error(lines.at(-1)!.join(' | '));
    }
  });
  const head = ['task', 'seed', 'best rate', 'picked at 1/9', 'at 1/4', 'at 1/3', 'at 1/2', 'at 3/4'];
  console.error(plainTable(head, lines));
  return count;
}

/**
 * Which rate suits a run that continues an adapter: it learns the first half of a task's rows as a job would, and continues with the other
 * half at multiples of the rate of a long, fresh run.
 */
export async function continuedRates({ words }: RunPlan): Promise<number> {
  const lines: string[][] = [];
  const names = words.length > 0 ? words : ['messages', 'teams', 'names', 'prose'];
  const count = await forEachTask(names, async (name, { rows, seeds, resolved, run }) => {
    const [first, second] = [rows.filter((_, i) => i % 2 === 0), rows.filter((_, i) => i % 2 === 1)];
    /** Mean over seeds of the last losses. */
    const mean = async (runOf: (seed: number) => ReturnType<typeof run>) => {
      let sum = 0;
      for (const seed of seeds) sum += (await runOf(seed)).evaluations.at(-1)!.loss;
      return (sum / seeds.length).toPrecision(3);
    };
    const started = new Map<number, string>();
    const before = await mean(async (seed) => {
      const done = await run(first, { seed });
      started.set(seed, done.adapter);
      return done;
    });
    // Continued training takes half of the rate: config/automatic-training.ts.
    const full = 2 * resolved(second, {}, true).learning_rate;
    const after: string[] = [];
    for (const times of RATES)
      after.push(
        await mean((seed) => run(second, { seed, learning_rate: full * times }, started.get(seed)!)),
      );
    lines.push([name, before, ...after, await mean((seed) => run(rows, { seed }))]);
    console.error(lines.at(-1)!.join(' | '));
  });
  const head = ['task', 'before', ...RATES.map((times) => `× ${times}`), 'fresh, of all rows'];
  console.error(plainTable(head, lines));
  return count;
}
