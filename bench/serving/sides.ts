import { join } from 'node:path';
import { type Program, python, runForResult, typeScript } from '../../scripts/measuring/processes.ts';
import { llamaAddon } from '../../scripts/tools/llama-cpp.ts';
import { answerTokens, type Chat } from './chats.ts';

/** Generated tokens, and the time for them. */
export interface Speed {
  tokens: number;
  seconds: number;
}

export interface Answered extends Speed {
  /** Token ids of each answer, with the index of its chat. */
  ids: [number, number[]][];
  /** Milliseconds until each answer's first token. */
  first: number[];
  /** Peak main memory of the process. */
  peakBytes: number;
}

export interface Served<Own extends Speed = Speed> {
  oneByOne: Own;
  together: Own;
}

export const servedDtypes = ['fp32', 'bf16', 'int8', 'nf4'] as const;
export const activationDtypes = ['fp32', 'int8'] as const;

/** Questions to all sides. `alone`: number of questions that are asked one by one; `rows`: number of concurrent questions. */
export interface Questions {
  /** Path of the base model. */
  model: string;
  chats: readonly Chat[];
  rows: number;
  alone: number;
  threads: number;
  /** No side starts another question after this time. */
  seconds: number;
}

/** Input of a process of graft-process.ts. */
export interface ServingPlan extends Pick<Questions, 'model' | 'chats' | 'rows' | 'seconds'> {
  baseDtype: (typeof servedDtypes)[number];
  activationDtype: (typeof activationDtypes)[number];
  /** Begins each line of the report. */
  title: string;
}

/** Runs each generator in a separate process, so that the second has no cached prompts. */
export async function graftSide(
  { model, chats, rows, alone, seconds }: Questions,
  dtypes: Pick<ServingPlan, 'baseDtype' | 'activationDtype'>,
): Promise<Served<Answered>> {
  const program = typeScript(join(import.meta.dirname, 'graft-process.ts'));
  const ask = (way: string, chats: readonly Chat[], rows: number) => {
    const title = `Graft, ${dtypes.baseDtype}, ${way}`;
    return runForResult<Answered>(program, { model, ...dtypes, chats, rows, seconds, title });
  };
  const oneByOne = await ask('one by one', chats.slice(0, alone), 1);
  return { oneByOne, together: await ask(`${rows} at once`, chats, rows) };
}

/** Runs llama.cpp, without adapters. Throws if it has no build for this platform. */
export async function llamaCppSide({ chats, ...questions }: Questions): Promise<Served> {
  const addon = llamaAddon();
  if (addon === null)
    throw new Error('--sides must not contain llama-cpp on this platform, for which llama.cpp has no build');
  const args = [join(import.meta.dirname, 'llama-cpp-process.mjs')];
  const program: Program = { command: process.execPath, args, env: {} };
  const prompts = chats.map(({ prompt }) => prompt);
  return await runForResult(
    program,
    { ...questions, addon, prompts, tokens: answerTokens },
    { seconds: 900 },
  );
}

/** Time in addition to that for the questions: loading the model, and completing answers in progress. */
const graceSeconds = 300;

/** Runs Transformers and HF PEFT. `ids`: token ids of the answers, in the order of the chats. */
export async function peftSide(
  questions: Questions,
  adapters: readonly string[],
): Promise<Served<Speed & { ids: number[][] }>> {
  const chats = questions.chats.map(({ adapter, prompt }) => ({
    adapter: adapters.indexOf(adapter),
    prompt,
  }));
  const program = await python(join(import.meta.dirname, 'hf_peft.py'));
  const plan = { ...questions, adapters, tokens: answerTokens, chats };
  return await runForResult(program, plan, { seconds: 2 * questions.seconds + graceSeconds });
}
