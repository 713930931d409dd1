/**
 * npm run bench:serving: sixteen concurrent chats over four adapters of the real SmolLM2-135M, each of which asks again when it has its
 * answer, compared with the same questions one by one and with transformers and HF PEFT. Every answer must equal the one it gets alone, token
 * for token. Takes some minutes and reports progress.
 *
 * npm run bench:serving -- [--chats 16] [--rounds 5] [--alone 12] [--seconds 240] [--sides graft,peft] [--dtypes fp32] [--activations fp32] [--model NAME] [--output data/bench] [--write-docs] [--check]
 * npm run bench:serving -- --long-prompts 48 [--chats 16] [--check]
 *   --alone       number of questions that are asked one by one
 *   --sides       of graft, peft and llama-cpp, which is llama.cpp with the file of SmolLM2-135M in 4 bits and without adapters
 *   --dtypes      data types of Graft's base model: fp32, bf16, int8, nf4
 *   --activations  data types of the inputs of products, fp32 and int8; int8 only for the data types int8 and nf4
 *   --model       instead of SmolLM2-135M the shape of a published model in test/golden/published-configs, with random weights and a byte a
 *                 token; only for the side graft
 *   --seconds     after this time no side starts another question
 *   --write-docs  the table goes to bench/serving/results.md, too
 *   --long-prompts  measures instead how long chats wait for their first tokens beside this many clients of another team whose prompts are
 *                 too long for the model, with a whole Graft; --check fails above twice the calm wait
 *   --check       fails where the targets do not hold: 4 times one by one, and half of the first tokens within 300 ms
 */
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { openBaseModel } from '@graft/peft-core/files';
import { usesGpu } from '@graft/tf-graph';
import { commandLine, endWithUsage, listOf, wholeNumber } from '../../scripts/command-line.ts';
import { pythonEnvironment } from '../../scripts/golden/environment/python-environment.ts';
import { runPython } from '../../scripts/golden/environment/run-python.ts';
import {
  describeMachine,
  facts,
  markdownTable,
  median,
  quantile,
  times,
  writeReport,
} from '../../scripts/measuring/report.ts';
import { replaceSection } from '../../scripts/methods/docs-section.ts';
import { packagedModel } from '../../scripts/methods/packaged-model.ts';
import { scratchFolder } from '../../test/golden/fixtures/scratch-folder.ts';
import { writePublishedModel } from '../published-model.ts';
import { answerTokens, chatsOf, promptWords, writeAdapters } from './chats.ts';
import { longPrompts } from './long-prompts.ts';
import {
  type Answered,
  activationDtypes,
  graftSide,
  llamaCppSide,
  peftSide,
  type Served,
  type Speed,
  servedDtypes,
} from './sides.ts';

const { chats, rounds, alone, seconds, ...options } = commandLine(
  {
    sides: { type: 'string', default: 'graft,peft' },
    dtypes: { type: 'string', default: 'fp32' },
    activations: { type: 'string', default: 'fp32' },
    model: { type: 'string' },
    'long-prompts': { type: 'string' },
    output: { type: 'string', default: 'data/bench' },
    'write-docs': { type: 'boolean', default: false },
    check: { type: 'boolean', default: false },
  },
  { chats: 16, rounds: 5, alone: 12, seconds: 240 },
);
const sides = listOf('sides', options.sides, ['graft', 'peft', 'llama-cpp']);
const dtypes = listOf('dtypes', options.dtypes, servedDtypes);
const activations = listOf('activations', options.activations, activationDtypes);
/** Variants of Graft that are measured. */
const served = dtypes.flatMap((baseDtype) =>
  activations
    .filter((name) => name === 'fp32' || baseDtype === 'int8' || baseDtype === 'nf4')
    .map((activationDtype) => ({ baseDtype, activationDtype })),
);
if (sides.includes('peft') && sides.includes('graft') && !dtypes.includes('fp32'))
  endWithUsage('--dtypes: transformers and PEFT are compared with fp32, so name it, too');
if (options.model && sides.join() !== 'graft') endWithUsage('--model is only for --sides graft');

const faults: string[] = [];
const clients = options['long-prompts'];
await (clients === undefined ? measureSides() : measureBeside(wholeNumber('long-prompts', clients)));
for (const fault of faults) console.error(`✖ ${fault}`);
if (options.check && faults.length > 0) process.exitCode = 1;

async function measureBeside(clients: number): Promise<void> {
  const model = await packagedModel('smollm2');
  const loads = await longPrompts({ model, clients, chats, report: console.log });
  const calm = median(loads[0]!.first);
  const lines = loads.map(({ name, first, refused, inputTokens }) => [
    name === 'calm' ? name : `${clients} prompts ${name}`,
    ...waits(first),
    times(median(first) / calm),
    Object.entries(refused)
      .map(([code, count]) => `${count} ${code}`)
      .join(', '),
    inputTokens.toLocaleString('en'),
  ]);
  const header = ['another team', 'first token, median', '90 %', 'of calm', 'its prompts'];
  const table = markdownTable([...header, 'tokens charged for them'], lines);
  console.log(`${facts(describeMachine(null))}\n\n${table}`);
  if (loads.some(({ first }) => median(first) > 2 * calm))
    faults.push('first tokens take longer than twice the calm ones');
}

/** Median and ninth decile of milliseconds. */
function waits(first: readonly number[]): string[] {
  const shown = (value: number) => `${value.toFixed(0)} ms`;
  return first.length === 0 ? ['', ''] : [median([...first]), quantile(first, 0.9)].map(shown);
}

async function measureSides(): Promise<void> {
  const folder = scratchFolder('serving');
  const python = sides.includes('peft') ? await pythonEnvironment() : null;
  const source = options.model
    ? await writePublishedModel(folder, options.model)
    : await packagedModel('smollm2');
  // Transformers read a folder, and then both sides the same one.
  const model = python === null ? source : join(folder, 'model');
  if (python !== null) {
    console.log('unpacking the model for transformers');
    await runPython('export_model.py', [source, model, 'float32']);
  }
  const base = await openBaseModel(model);
  const adapters = await writeAdapters(base, folder, 4);
  await base.close();
  const words = options.model ? promptWords.bytes : promptWords.words;
  const threads = availableParallelism();
  const asked = {
    model,
    chats: chatsOf(adapters, chats * rounds, words),
    rows: chats,
    alone,
    threads,
    seconds,
  };
  const rows: string[][] = [];
  const notes: string[] = [];
  const add = (
    side: string,
    { oneByOne, together }: Served<Speed & Partial<Pick<Answered, 'first' | 'peakBytes'>>>,
    batches?: string,
  ) => {
    for (const [way, own] of [
      ['one by one', oneByOne],
      [batches ?? `${chats} at once`, together],
    ] as const) {
      const speed = own.tokens / own.seconds;
      const ratio = times(speed / (oneByOne.tokens / oneByOne.seconds));
      const peak = own.peakBytes ? `${Math.round(own.peakBytes / 2 ** 20).toLocaleString('en')} MiB` : '';
      rows.push([side, way, speed.toFixed(1), ratio, ...waits(own.first ?? []), peak]);
    }
  };

  let inFloat32: Answered | undefined;
  for (const own of sides.includes('graft') ? served : []) {
    const measured = await graftSide(asked, own);
    if (own.baseDtype === 'fp32') inFloat32 = measured.oneByOne;
    add(`Graft, ${own.baseDtype}${own.activationDtype === 'int8' ? ', activations int8' : ''}`, measured);
    faults.push(...faultsOf(measured));
  }
  if (sides.includes('llama-cpp')) {
    console.log('llama.cpp: one by one, then together');
    add('llama.cpp, Q4_1', await llamaCppSide({ ...asked, model: source }));
  }
  if (python !== null) {
    const peft = await peftSide(asked, adapters);
    add('transformers + PEFT', peft, `batches of ${chats}, adapter_names`);
    const { ids } = peft.oneByOne;
    const own = inFloat32 && new Map(inFloat32.ids);
    const alike = ids.filter((each, i) => each.join() === own?.get(i)?.join());
    if (own)
      notes.push(
        `Of ${ids.length} answers one by one ${alike.length} are the same in transformers, token for token.`,
      );
  }
  const header = ['side', 'way', 'tokens/s', 'beside one by one', 'first token, median', '90 %', 'peak'];
  const title = `${chats} chats over 4 adapters of ${options.model ?? 'SmolLM2-135M'}, prompts of about 100 tokens, answers of ${answerTokens}`;
  const body = [facts(describeMachine(python)), markdownTable(header, rows), ...notes].join('\n\n');
  const written = writeReport(options.output, 'serving', `# ${title}\n\n${body}\n`);
  console.log(`${title}\n\n${body}\n\n${written}`);
  const section = sides.includes('llama-cpp') ? 'serving-llama-cpp' : 'serving';
  if (options['write-docs']) await replaceSection('bench/serving/results.md', section, `\n${body}\n\n`);
}

/** A line for each target that Graft's answers do not reach. */
function* faultsOf({ oneByOne, together }: Served<Answered>): Generator<string> {
  const answers = new Map(together.ids);
  // On a GPU what is computed beside a row may change its last bits.
  if (!usesGpu() && oneByOne.ids.some(([i, ids]) => ids.join() !== (answers.get(i) ?? ids).join()))
    yield 'an answer among others is not the one that it is alone';
  const ratio = together.tokens / together.seconds / (oneByOne.tokens / oneByOne.seconds);
  if (ratio < 2.5) yield `${ratio.toFixed(2)} times one by one, to be 2.5`;
  if (median(together.first) > 300) yield 'half of the first tokens take longer than 300 ms';
}
