import { parseArgs } from 'node:util';
import { excludedSteps } from './report.ts';
import { type Precision, type SideName, sideNames } from './sides.ts';
import { recipes } from './workloads.ts';

export const usage = `npm run bench -- [--only demo,bf16] [--sides graft,peft,wall] [--steps 20] [--output data/bench]
npm run bench -- --data FILE.jsonl --batch-size N --precision bf16 [--json]
npm run bench -- --start [--demo] [--steps 20]: how soon a worker's job trains, four queued ones, and the demo
  --only        words that narrow what runs: workloads (--list) and precisions
  --sides       the first is compared with the others: graft, stock (without its kernels), xla (stock, compiled), peft,
                expert (PEFT without padding), qlora (PEFT on bitsandbytes' nf4), wall (a step's matrix products alone)
  --check       also says which of the targets hold, and fails where one does not
  --write-docs  keeps the run, and writes docs/performance.md, its pictures and README's table from it
  --json        one JSON object on standard output, progress on standard error`;

export class UsageError extends Error {}

/** What a command line asks for. Throws UsageError; one without a message asks for help. */
export function parseOptions(args: string[]) {
  const { values } = parse(args);
  if (values.help) throw new UsageError('');
  const steps = Number(values.steps);
  if (!Number.isInteger(steps) || steps <= excludedSteps)
    throw new UsageError(
      `--steps is a whole number above ${excludedSteps}: the first ${excludedSteps} are not counted`,
    );
  const batchSize = Number(values['batch-size']);
  if (!Number.isInteger(batchSize) || batchSize < 1)
    throw new UsageError('--batch-size is a whole number above 0');
  const sides = values.sides.split(',');
  const stray = sides.find((name) => !sideNames.includes(name as SideName));
  if (stray !== undefined) throw new UsageError(`--sides: ${stray} is none of ${sideNames.join(', ')}`);
  const isPrecision = (word: string): word is Precision => word === 'fp32' || word === 'bf16';
  const { precision } = values;
  if (precision !== undefined && !isPrecision(precision))
    throw new UsageError('--precision is one of fp32, bf16');
  const words = values.only.split(',').filter((word) => word !== '');
  const unknown = words.find((word) => !(word in recipes) && !isPrecision(word));
  if (unknown !== undefined)
    throw new UsageError(`--only: ${unknown} is neither a precision nor one of --list`);
  const { 'batch-size': _, 'write-docs': writeDocs, ...given } = values;
  return { ...given, steps, batchSize, precision, words, writeDocs, sides: sides as SideName[] };
}

function parse(args: string[]) {
  try {
    return parseArgs({
      args,
      options: {
        only: { type: 'string', default: '' },
        sides: { type: 'string', default: 'graft,peft,wall' },
        steps: { type: 'string', default: '20' },
        output: { type: 'string', default: 'data/bench' },
        data: { type: 'string' },
        'batch-size': { type: 'string', default: '8' },
        precision: { type: 'string' },
        json: { type: 'boolean', default: false },
        start: { type: 'boolean', default: false },
        demo: { type: 'boolean', default: false },
        list: { type: 'boolean', default: false },
        check: { type: 'boolean', default: false },
        'write-docs': { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    });
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

/** The same, or the end of the process: with usage, and code 2 where something was wrong. */
export function optionsOf(args: string[]) {
  try {
    return parseOptions(args);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    if (error.message === '') console.log(usage);
    else console.error(`${error.message}\n\n${usage}`);
    process.exit(error.message === '' ? 0 : 2);
  }
}
