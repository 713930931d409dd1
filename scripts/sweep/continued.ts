/**
 * npm run sweep -- --continued [--only TASK,…]: which rate suits a run that continues an adapter (docs/auto.md). An adapter learns the
 * first half of a task's rows as a job would, and continues with the other half at multiples of the rate of a long, fresh run.
 */
import { openTask } from './one-run.ts';

const MULTIPLES = [1 / 8, 1 / 4, 1 / 2, 1, 2, 4];

const names = process.argv.slice(2);
console.error(
  `| task | before | ${MULTIPLES.map((times) => `× ${times}`).join(' | ')} | fresh, of all rows |`,
);
console.error(`| --- | --- | ${MULTIPLES.map(() => '---').join(' | ')} | --- |`);
for (const name of names.length > 0 ? names : ['messages', 'teams', 'names', 'prose']) {
  const { task, seeds, resolved, run, close } = await openTask(name);
  const rows = task.data().training;
  const [first, second] = [rows.filter((_, i) => i % 2 === 0), rows.filter((_, i) => i % 2 === 1)];
  const used = seeds.slice(0, 2);
  /** Mean of the last losses over seeds. */
  const mean = async (lossOf: (seed: number) => Promise<number>) => {
    let sum = 0;
    for (const seed of used) sum += await lossOf(seed);
    return (sum / used.length).toPrecision(3);
  };
  const started = new Map<number, string>();
  const before = await mean(async (seed) => {
    const { adapter, evaluations } = await run(first, { seed });
    started.set(seed, adapter);
    return evaluations.at(-1)!.loss;
  });
  // What a run that continues takes is half of it: config/automatic-training.ts.
  const full = 2 * resolved(second, {}, true).learning_rate;
  const after: string[] = [];
  for (const times of MULTIPLES)
    after.push(
      await mean(async (seed) => {
        const training = { seed, learning_rate: full * times };
        return (await run(second, training, started.get(seed)!)).evaluations.at(-1)!.loss;
      }),
    );
  const fresh = await mean(async (seed) => (await run(rows, { seed })).evaluations.at(-1)!.loss);
  console.error(`| ${[name, before, ...after, fresh].join(' | ')} |`);
  await close();
}
console.log(JSON.stringify({ tasks: names }));
