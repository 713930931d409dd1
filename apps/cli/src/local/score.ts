import { once } from 'node:events';
import { createReadStream } from 'node:fs';
import { resolve } from 'node:path';
import { createInterface } from 'node:readline';
import type { Command } from 'commander';
import { count, duration } from '../draw/quantities.ts';
import { CommandError } from '../errors.ts';
import { createOutput } from '../output.ts';
import { saveStream } from '../save-stream.ts';
import { type VerbOptions, verb } from '../verb.ts';
import { modelOption, withLocalModel } from './local-model.ts';

type ScoreInput = { text: string; target?: string } | { input_ids: number[]; labels?: number[] };

interface Options extends VerbOptions {
  model: string;
  adapter?: string;
  input: string;
  output: string;
}

export function addScoreVerb(program: Command): void {
  const scores = 'compute log-probabilities, logits or embeddings of texts, in float32';
  const examples = [
    '--model smollm2-135m-instruct --adapter my-adapter --input texts.jsonl --output scores.jsonl',
    '--model all-minilm-l6-v2 --adapter my-classifier --input texts.jsonl --output -',
    '--model smollm2-135m-instruct --adapter my-adapter --input pairs.jsonl --output -',
  ];
  verb(program, 'score', scores, ...examples)
    .requiredOption('--model <model>', modelOption)
    .option('--adapter <folder>', 'score with this adapter')
    .requiredOption(
      '--input <file>',
      'JSONL with {"text"} or {"input_ids"} per line; for an encoder-decoder {"text","target"} or {"input_ids","labels"}; or preferences, as for training',
    )
    .requiredOption(
      '--output <file>',
      'JSONL with "input_ids" and, by task, "logprobs" of each token after the first, "logits", or an "embedding"; of preferences "chosen" and "rejected", each with "logprob" and "logprobs"; - is stdout',
    )
    .action(score);
}

async function score(options: Options): Promise<void> {
  const output = createOutput(options);
  if (await hasPreferences(options.input)) return await scorePairs(options);
  const lines = await checkInput(options.input);
  await withLocalModel(options.model, output, async (base, { scoreTexts }) => {
    output.note(`Loading ${options.model}`);
    const began = performance.now();
    let tokens = 0;
    async function* scored() {
      const scores = scoreTexts({
        base,
        adapterDir: options.adapter === undefined ? null : resolve(options.adapter),
        input: readInput(options.input),
      });
      for await (const each of scores) {
        tokens += each.input_ids.length;
        yield Buffer.from(`${JSON.stringify(each)}\n`);
      }
    }
    await saveStream(scored(), options.output);
    const seconds = (performance.now() - began) / 1_000;
    const text = `Scored ${count(lines)} texts, ${count(tokens)} tokens, in ${duration(seconds)}: ${options.output}`;
    // stdout may contain the scores.
    if (options.output === '-') output.note(text);
    else output.result({ output: options.output, texts: lines, tokens, seconds }, () => text);
  });
}

async function scorePairs({ model, adapter, input, output: path, ...flags }: Options): Promise<void> {
  const output = createOutput(flags);
  const { readDataFile } = await import('@graft/peft-core/examples');
  const { examples } = await readDataFile(input);
  await withLocalModel(model, output, async (base, { scorePreferences }) => {
    output.note(`Loading ${model}`);
    let right = 0;
    async function* scored() {
      const adapterDir = adapter === undefined ? null : resolve(adapter);
      for await (const each of scorePreferences({ base, adapterDir, examples })) {
        if (each.chosen.logprob > each.rejected.logprob) right++;
        yield Buffer.from(`${JSON.stringify(each)}\n`);
      }
    }
    await saveStream(scored(), path);
    const pairs = examples.length;
    const text = `Scored ${count(pairs)} pairs, ${count(right)} with a more probable chosen completion: ${path}`;
    if (path === '-') output.note(text);
    else output.result({ output: path, pairs, chosen_more_probable: right }, () => text);
  });
}

/** Returns true if the first line is a preference, in one of the shapes that training reads. */
async function hasPreferences(path: string): Promise<boolean> {
  const file = createReadStream(path);
  // readline ignores the error of a file that cannot be opened.
  await once(file, 'open');
  for await (const text of createInterface({ input: file, crlfDelay: Number.POSITIVE_INFINITY })) {
    if (text.trim() === '') continue;
    file.destroy();
    const { parseJsonl } = await import('@graft/peft-core/examples');
    const { comparesCompletions } = await import('@graft/peft-core/config');
    try {
      return comparesCompletions(parseJsonl([text]).format);
    } catch {
      return /"(chosen|rejected|preferred_output|non_preferred_output)"\s*:/.test(text.slice(0, 100_000));
    }
  }
  return false;
}

/** Validates all lines before the model is loaded, so that a bad line fails early. Returns the number of texts. */
async function checkInput(path: string): Promise<number> {
  const faults: string[] = [];
  let lines = 0;
  for await (const { line, fault } of readLines(path)) {
    lines++;
    if (fault !== null && faults.length < 20) faults.push(`line ${line} ${fault}`);
  }
  if (faults.length > 0) throw new CommandError(`${path}: ${faults.join('; ')}`);
  if (lines === 0) throw new CommandError(`${path} contains no texts.`);
  return lines;
}

async function* readInput(path: string): AsyncGenerator<ScoreInput, void, void> {
  for await (const { value, line, fault } of readLines(path)) {
    if (value === null) throw new CommandError(`${path} changed while it was read: line ${line} ${fault}`);
    yield value;
  }
}

interface InputLine {
  line: number;
  value: ScoreInput | null;
  fault: string | null;
}

async function* readLines(path: string): AsyncGenerator<InputLine, void, void> {
  const file = createReadStream(path);
  // readline ignores the error of a file that cannot be opened.
  await once(file, 'open');
  let line = 0;
  for await (const text of createInterface({ input: file, crlfDelay: Number.POSITIVE_INFINITY })) {
    line++;
    if (text.trim() === '') continue;
    yield { line, ...parseLine(text) };
  }
}

function parseLine(text: string): Pick<InputLine, 'value' | 'fault'> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    return { value: null, fault: `is not valid JSON (${(error as Error).message})` };
  }
  if (typeof value === 'object' && value !== null) {
    const { text: string, target, input_ids: ids, labels } = value as Record<string, unknown>;
    if (typeof string === 'string' && ids === undefined && labels === undefined) {
      if (target === undefined) return { value: { text: string }, fault: null };
      if (typeof target === 'string') return { value: { text: string, target }, fault: null };
    }
    if (string === undefined && target === undefined && isTokenIds(ids)) {
      if (labels === undefined) return { value: { input_ids: ids }, fault: null };
      if (isTokenIds(labels)) return { value: { input_ids: ids, labels }, fault: null };
    }
  }
  const fault =
    'must hold either "text", a string, or "input_ids", a list of whole numbers; for an encoder-decoder also a "target", or "labels"';
  return { value: null, fault };
}

function isTokenIds(value: unknown): value is number[] {
  return Array.isArray(value) && value.length > 0 && value.every(Number.isSafeInteger);
}
