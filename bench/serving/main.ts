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
 *   --write-docs  the table goes to docs/serving.md, too
 *   --long-prompts  measures instead how long chats wait for their first tokens beside this many clients of another team whose prompts are
 *                 too long for the model, with a whole Graft; --check fails above twice the calm wait
 *   --check       fails where the targets do not hold: 4 times one by one, and half of the first tokens within 300 ms
 */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { openBaseModel } from '@graft/peft-core/files';
import { usesGpu } from '@graft/tf-graph';
import { commandLine, wholeNumber } from '../../scripts/command-line.ts';
import { pythonEnvironment } from '../../scripts/golden/environment/python-environment.ts';
import { runPython } from '../../scripts/golden/environment/run-python.ts';
import { describeMachine, facts, markdownTable, median, times } from '../../scripts/measuring/report.ts';
import { replaceSection } from '../../scripts/methods/docs-section.ts';
import { packagedModel } from '../../scripts/methods/packaged-model.ts';
import { writePublishedModel } from '../published-model.ts';
import { answerTokens, chatsOf, promptWords, writeAdapters } from './chats.ts';
import { type Answered, graftSide, isServedDtype, servedDtypes } from './graft-side.ts';
import { llamaCppSide } from './llama-cpp-side.ts';
import { longPrompts } from './long-prompts.ts';
import { peftSide } from './peft-side.ts';

const {
  chats: atOnce,
  rounds,
  alone,
  seconds,
  ...options
} = commandLine(
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
const sides = options.sides.split(',');
if (sides.some((side) => !['graft', 'peft', 'llama-cpp'].includes(side)))
  throw new Error('--sides are of graft, peft and llama-cpp');
const dtypes = options.dtypes.split(',');
if (!dtypes.every(isServedDtype)) throw new Error(`--dtypes are of ${servedDtypes.join(', ')}`);
const activations = options.activations.split(',');
if (!activations.every((name) => name === 'fp32' || name === 'int8'))
  throw new Error('--activations are of fp32 and int8');
/** What Graft is measured with. */
const served = dtypes.flatMap((baseDtype) =>
  activations
    .filter((name) => name === 'fp32' || baseDtype === 'int8' || baseDtype === 'nf4')
    .map((activationDtype) => ({ baseDtype, activationDtype })),
);
if (sides.includes('peft') && sides.includes('graft') && !dtypes.includes('fp32'))
  throw new Error('--dtypes: transformers and PEFT are compared with fp32, so name it, too');

if (options.model && sides.join() !== 'graft') throw new Error('--model is only for --sides graft');

type Speed = Pick<Answered, 'tokens' | 'seconds'>;
const speedOf = ({ tokens, seconds }: Speed): number => tokens / seconds;
const rows: string[][] = [];
function row(
  side: string,
  way: string,
  own: Speed & { peakBytes?: number },
  beside: Speed,
  first: number[] = [],
): void {
  const sorted = first.toSorted((a, b) => a - b);
  const cell = (value: number | undefined) => (value === undefined ? '' : `${value.toFixed(0)} ms`);
  rows.push([
    side,
    way,
    speedOf(own).toFixed(1),
    times(speedOf(own) / speedOf(beside)),
    ...(first.length > 0 ? [cell(median(sorted)), cell(sorted[Math.floor(sorted.length * 0.9)])] : ['', '']),
    own.peakBytes ? `${Math.round(own.peakBytes / 2 ** 20).toLocaleString('en')} MiB` : '',
  ]);
}

async function beside(clients: number, folder: string): Promise<void> {
  const model = await packagedModel('smollm2');
  const loads = await longPrompts({ folder, model, clients, chats: atOnce, report: console.log });
  const calm = median(loads[0]!.first);
  const lines = loads.map(({ name, first, refused, inputTokens }) => {
    const worst = first.toSorted((a, b) => a - b)[Math.floor(first.length * 0.9)]!;
    const codes = Object.entries(refused).map(([code, count]) => `${count} ${code}`);
    return [
      name === 'calm' ? name : `${clients} prompts ${name}`,
      `${median(first).toFixed(0)} ms`,
      `${worst.toFixed(0)} ms`,
      times(median(first) / calm),
      codes.join(', '),
      inputTokens.toLocaleString('en'),
    ];
  });
  const header = [
    'another team',
    'first token, median',
    '90 %',
    'of calm',
    'its prompts',
    'tokens charged for them',
  ];
  console.log(`${facts(describeMachine(null))}\n\n${markdownTable(header, lines)}`);
  const isSlow = loads.some(({ first }) => median(first) > 2 * calm);
  if (isSlow) console.error('✖ first tokens take longer than twice the calm ones');
  if (options.check && isSlow) process.exitCode = 1;
}

const folder = await mkdtemp(join(tmpdir(), 'graft-serving-'));
if (options['long-prompts'] !== undefined) {
  const clients = wholeNumber('long-prompts', options['long-prompts']);
  await beside(clients, folder).finally(() => rm(folder, { recursive: true, force: true }));
  process.exit();
}
try {
  const python = sides.includes('peft') ? await pythonEnvironment() : null;
  const gguf = options.model
    ? await writePublishedModel(folder, options.model)
    : await packagedModel('smollm2');
  // Transformers read a folder, and then both sides the same one.
  const model = python === null ? gguf : join(folder, 'model');
  if (python !== null) {
    console.log('unpacking the model for transformers');
    await runPython('export_model.py', [gguf, model, 'float32']);
  }
  const base = await openBaseModel(model);
  const adapters = await writeAdapters(base, folder, 4);
  await base.close();
  const chats = chatsOf(adapters, atOnce * rounds, options.model ? promptWords.bytes : promptWords.words);
  const faults: string[] = [];
  const notes: string[] = [];
  const measured = [];
  if (sides.includes('graft'))
    for (const own of served)
      measured.push({
        ...own,
        ...(await graftSide({ model, ...own, chats, atOnce, alone, seconds })),
      });
  const graft = measured.find(({ baseDtype }) => baseDtype === 'fp32');
  for (const { baseDtype, activationDtype, oneByOne, together, same } of measured) {
    const side = `Graft, ${baseDtype}${activationDtype === 'int8' ? ', activations int8' : ''}`;
    row(side, 'one by one', oneByOne, oneByOne, oneByOne.first);
    row(side, `${atOnce} at once`, together, oneByOne, together.first);
    const ratio = speedOf(together) / speedOf(oneByOne);
    // On a GPU what is computed beside a row may change its last bits.
    if (!same && !usesGpu()) faults.push('an answer among others is not the one that it is alone');
    if (ratio < 2.5) faults.push(`${ratio.toFixed(2)} times one by one, to be 2.5`);
    if (median(together.first) > 300) faults.push('half of the first tokens take longer than 300 ms');
  }
  const threads = availableParallelism();
  if (sides.includes('llama-cpp')) {
    console.log('llama.cpp: one by one, then together');
    const other = await llamaCppSide({ model: gguf, chats, rows: atOnce, alone, threads });
    row('llama.cpp, Q4_1', 'one by one', other.oneByOne, other.oneByOne);
    row('llama.cpp, Q4_1', `${atOnce} at once`, other.together, other.oneByOne);
  }
  if (python !== null) {
    const peft = await peftSide({ model, adapters, chats, rows: atOnce, alone, seconds, threads });
    row('transformers + PEFT', 'one by one', peft.oneByOne, peft.oneByOne);
    row('transformers + PEFT', `batches of ${atOnce}, adapter_names`, peft.together, peft.oneByOne);
    const alike = peft.oneByOne.ids.filter((ids, i) => ids.join() === graft?.oneByOne.ids.get(i)?.join());
    if (graft)
      notes.push(
        `Of ${peft.oneByOne.ids.length} answers one by one ${alike.length} are the same in transformers, token for token.`,
      );
  }
  const header = ['side', 'way', 'tokens/s', 'beside one by one', 'first token, median', '90 %', 'peak'];
  const title = `${atOnce} chats over 4 adapters of ${options.model ?? 'SmolLM2-135M'}, prompts of about 100 tokens, answers of ${answerTokens}`;
  const body = [facts(describeMachine(python)), markdownTable(header, rows), ...notes].join('\n\n');
  await mkdir(options.output, { recursive: true });
  await writeFile(join(options.output, 'serving.md'), `# ${title}\n\n${body}\n`);
  console.log(`${title}\n\n${body}\n\nwritten to ${options.output}/serving.md`);
  const section = sides.includes('llama-cpp') ? 'serving-llama-cpp' : 'serving';
  if (options['write-docs']) await replaceSection('docs/serving.md', section, `\n${body}\n\n`);
  for (const fault of faults) console.error(`✖ ${fault}`);
  if (options.check && faults.length > 0) process.exitCode = 1;
} finally {
  await rm(folder, { recursive: true, force: true });
}
