/**
 * npm run sweep -- --ranks [--only TASK,…]: how often the best of several learning rates is already the best after a part of its
 * steps, for docs/sweeps.md. Rates are twice as large from one to the next, around the automatic one; each trains to the end.
 */
import { openTask } from './one-run.ts';

const RATES = [1 / 8, 1 / 4, 1 / 2, 1, 2, 4];
const SHARES = [1 / 9, 1 / 4, 1 / 3, 1 / 2, 3 / 4];
const STEPS = 72;
/** A common divisor of the steps of all shares. */
const EVALUATED = 2;

const names = process.argv.slice(2);
console.error('| task | seed | best rate | picked at 1/9 | at 1/4 | at 1/3 | at 1/2 | at 3/4 |');
console.error('| --- | --- | --- | --- | --- | --- | --- | --- |');
for (const name of names.length > 0 ? names : ['urgency', 'messages', 'descriptions']) {
  const { task, seeds, resolved, run, close } = await openTask(name);
  const rows = task.data().training;
  const automatic = resolved(rows, { max_steps: STEPS }, false).learning_rate;
  for (const seed of seeds.slice(0, 2)) {
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
    console.error(`| ${[name, seed, best.times, ...picks].join(' | ')} |`);
  }
  await close();
}
console.log(JSON.stringify({ tasks: names }));
