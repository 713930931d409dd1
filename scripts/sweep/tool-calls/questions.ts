import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { buildOnce } from '../../../packages/peft-core/src/hub/build-once.ts';
import { fetchPackages } from '../../../packages/peft-core/src/hub/python-package.ts';
import { cacheFolder } from '../../bootstrap/cache-folder.mjs';

/** A parameter's acceptable values; an empty string: the parameter may be left out. */
type PossibleArguments = Record<string, unknown[]>;

/** A call that answers a question, with every acceptable value. */
export interface PossibleCall {
  name: string;
  arguments: PossibleArguments;
}

export interface Tool {
  type: 'function';
  function: { name: string; description: string; parameters: Record<string, unknown> };
}

/** A question of the Berkeley Function-Calling Leaderboard. */
export interface Question {
  id: string;
  messages: { role: 'system' | 'user'; content: string }[];
  tools: Tool[];
  calls: PossibleCall[];
}

/** Kinds of questions that are answered by calls in one message. */
export const kinds = [
  'simple_python',
  'multiple',
  'live_simple',
  'parallel',
  'parallel_multiple',
  'live_multiple',
];

const wheel = {
  requirement: 'bfcl-eval==2026.3.23',
  file: 'bfcl_eval-2026.3.23-py3-none-any.whl',
  bytes: 1_925_664,
  sha256: '3bb6dfa5f0c68ad403c9ec50b00db2bb3b4cc9b38ab1ff33f48fe30d853d3a0a',
};
/** Written last, so that a folder with it is complete. */
const last = {
  file: 'README.md',
  sha256: '93119d83df28fee0a9f3ea41b0c6a947aad9f7ba4334ae89fef41c74b67b208d',
};

interface Row {
  id: string;
  question: Question['messages'][];
  function: { name: string; description: string; parameters: Record<string, unknown> }[];
}
interface AnswerRow {
  id: string;
  ground_truth: Record<string, PossibleArguments>[];
}

/** All questions of these kinds, in the order of the files. The first call downloads them with pip (2 MB). */
export async function readQuestions(of: readonly string[]): Promise<Question[]> {
  const folder = join(cacheFolder(), 'data', `bfcl-${wheel.sha256.slice(0, 16)}`);
  const files = kinds.flatMap((kind) => [fileOf(kind), `possible_answer/${fileOf(kind)}`]);
  const packaged = {
    title: 'the Berkeley Function-Calling Leaderboard',
    wheels: [{ ...wheel, folder: 'bfcl_eval/data/', files: [...files, last.file] }],
    weights: last,
  };
  await buildOnce(folder, (unfinished) => fetchPackages(packaged, unfinished, console.error));
  const questions = await Promise.all(of.map(async (kind) => await readKind(folder, kind)));
  return questions.flat();
}

const fileOf = (kind: string) => `BFCL_v4_${kind}.json`;

async function readKind(folder: string, kind: string): Promise<Question[]> {
  const rows = await readLines<Row>(join(folder, fileOf(kind)));
  const answers = await readLines<AnswerRow>(join(folder, 'possible_answer', fileOf(kind)));
  const byId = new Map(answers.map(({ id, ground_truth }) => [id, ground_truth]));
  return rows.map(({ id, question: [messages], function: functions }) => ({
    id,
    messages: messages!,
    tools: functions.map(({ name, description, parameters }) => ({
      type: 'function',
      function: { name: plainName(name), description, parameters: jsonSchema(parameters) },
    })),
    calls: byId
      .get(id)!
      .flatMap((call) => Object.entries(call))
      .map(([name, possible]) => ({ name: plainName(name), arguments: possible })),
  }));
}

async function readLines<T>(file: string): Promise<T[]> {
  const text = await readFile(file, 'utf8');
  return text
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line) => JSON.parse(line) as T);
}

/** OpenAI's names of functions have no points. */
const plainName = (name: string) => name.replaceAll('.', '_');

const types: Record<string, string> = { dict: 'object', float: 'number', tuple: 'array' };

/** The leaderboard's types are Python's; `any` is a schema without a type. */
function jsonSchema(schema: Record<string, unknown>): Record<string, unknown> {
  const fields = Object.entries(schema).flatMap(([name, value]): [string, unknown][] => {
    if (name === 'type') return value === 'any' ? [] : [[name, types[value as string] ?? value]];
    if (name === 'properties')
      return [
        [
          name,
          Object.fromEntries(
            Object.entries(value as Record<string, Record<string, unknown>>).map(([key, part]) => [
              key,
              jsonSchema(part),
            ]),
          ),
        ],
      ];
    if (name === 'items') return [[name, jsonSchema(value as Record<string, unknown>)]];
    return [[name, value]];
  });
  return Object.fromEntries(fields);
}

/** Returns true if a question is held out: a fifth of all, chosen by its id, so that other kinds change nothing. */
export function isHeldOut({ id }: Question, seed: number): boolean {
  const digest = createHash('sha256').update(`${seed}:${id}`).digest();
  return digest.readUInt32BE(0) / 2 ** 32 < 0.2;
}
