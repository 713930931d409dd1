import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { llamaAddon } from '../../scripts/tools/llama-cpp.ts';

/** Questions to llama.cpp about one file. */
export interface LlamaJob {
  /** A GGUF model. */
  model: string;
  /** A GGUF adapter. */
  adapter?: string;
  /** Texts to tokenize, special tokens included. */
  texts?: readonly string[];
  /** Sequences of token ids: the log-probability of each token after the first. */
  sequences?: readonly (readonly number[])[];
  /** Prompts to continue greedily by at most `tokens` tokens, or until the model ends the answer. */
  greedy?: readonly { prompt: readonly number[]; tokens: number }[];
}

export interface LlamaAnswer {
  texts: number[][];
  /** For each sequence, the log-probabilities of its tokens from the second on. */
  logprobs: number[][];
  answers: number[][];
  bos: number;
  eos: number;
  addsBos: boolean;
}

/** True where llama.cpp runs on this platform. */
export const hasRuntime = (): boolean => llamaAddon() !== null;

/** Runs a job in a separate process. Throws llama.cpp's error with the last lines of its log. */
export async function runGguf({ sequences = [], ...job }: LlamaJob): Promise<LlamaAnswer> {
  const folder = await mkdtemp(join(tmpdir(), 'graft-llama-'));
  try {
    const output = join(folder, 'logprobs');
    const forward = sequences.map((tokens) => tokens.slice());
    const answer = await runProcess({ ...job, addon: llamaAddon(), forward, output });
    const bytes = await readFile(output);
    const all = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
    let row = 0;
    const logprobs = sequences.map((tokens) => {
      const own = tokens.slice(1).map((next, i) => all[(row + i) * answer.vocabulary + next]!);
      row += tokens.length;
      return own;
    });
    return { ...answer, logprobs };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function runProcess(job: object): Promise<Omit<LlamaAnswer, 'logprobs'> & { vocabulary: number }> {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'process.mjs')], {
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  child.stdin.end(JSON.stringify(job));
  const ended = new Promise<string>((resolve) =>
    child.on('close', (code, signal) => resolve(`${signal ?? code}`)),
  );
  const [out, errors, end] = await Promise.all([text(child.stdout), text(child.stderr), ended]);
  if (end !== '0' || out === '') throw new Error(`llama.cpp ended with ${end}: ${errors.slice(-500)}`);
  const answer = JSON.parse(out);
  if (answer.error) throw new Error(`llama.cpp: ${answer.error}: ${answer.log.slice(-4).join('; ')}`);
  return answer;
}

/** Mean and largest absolute difference between log-probabilities of the same tokens. */
export function compareLogprobs(a: readonly number[][], b: readonly number[][]) {
  const differences = a.flatMap((row, i) => row.map((value, j) => Math.abs(value - b[i]![j]!)));
  const sum = differences.reduce((total, each) => total + each, 0);
  return { mean: sum / differences.length, largest: Math.max(...differences) };
}
