/**
 * npm run fuzz: reads random templates, schemas, patterns, Parquet files and rows as the service does. Each is read, or refused by a short error
 * that is the user's fault; anything else is printed with the seed and number that repeat it, and fails the run.
 *
 * npm run fuzz -- [--seed 1] [--seconds 60] [--kinds template,schema] [--from 0]
 * npm run fuzz -- --answers 10000 [--seed 1]: random answers that the masks of random schemas allow, checked by ajv
 */
import { parseArgs } from 'node:util';
import { walkAnswers } from './answers.ts';
import { type Kind, kinds } from './cases.ts';
import { fuzz } from './run-fuzz.ts';

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: String(Math.floor(Date.now() / 1000)) },
    seconds: { type: 'string', default: '60' },
    kinds: { type: 'string', default: kinds.join(',') },
    from: { type: 'string', default: '0' },
    answers: { type: 'string', default: '0' },
  },
});
const seed = Number(values.seed);
const chosen = values.kinds.split(',').filter((kind): kind is Kind => kinds.some((each) => each === kind));
let count = 0;
if (values.answers !== '0') {
  const { faults, answers, unfinished, refused } = await walkAnswers(seed, Number(values.answers));
  console.log(
    `${answers} answers of seed ${seed}, ${faults.length} invalid; ${unfinished} without end, ${refused} schemas refused`,
  );
  for (const fault of faults.slice(0, 5)) console.log(`✖ ${fault.slice(0, 1_000)}`);
  count = faults.length;
} else
  for (const kind of chosen) {
    const end = performance.now() + (1000 * Number(values.seconds)) / chosen.length;
    const { ends, found } = await fuzz(kind, {
      seed,
      from: Number(values.from),
      isOver: () => performance.now() > end,
    });
    const total = [...ends.values()].reduce((sum, each) => sum + each, 0);
    console.log(`${kind}: ${total} cases of seed ${seed}, ${found.length} with faults`);
    for (const { number, what, case: one } of found.slice(0, 5))
      console.log(
        `✖ --kinds ${kind} --seed ${seed} --from ${number}: ${what}\n  ${JSON.stringify(one).slice(0, 600)}`,
      );
    count += found.length;
  }
process.exitCode = count > 0 ? 1 : 0;
