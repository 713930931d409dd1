import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runGraft } from '../../apps/cli/src/testing/run-graft.ts';

export const colours = ['amber', 'blue', 'cyan'];

/** Base model, task and data lines of jobs of each kind. */
export const textJobs = {
  vectors: {
    model: 'encoder',
    task: 'FEATURE_EXTRACTION',
    line: (i: number) => ({ anchor: `${i} a`, positive: `${i} is the same` }),
  },
  classes: {
    model: 'encoder',
    task: 'SEQ_CLS',
    line: (i: number) => ({ text: colours[i % 3]!.repeat(1 + (i % 3)), label: colours[i % 3] }),
  },
  sets: {
    model: 'encoder',
    task: 'SEQ_CLS',
    line: (i: number) => ({ text: 'ab'.repeat(1 + i), labels: i % 2 ? ['odd', 'long'] : ['long'] }),
  },
  words: {
    model: 'encoder',
    task: 'TOKEN_CLS',
    line: (i: number) => ({ tokens: ['Ada', 'lives', `${i}`], labels: ['B-PER', 'O', 'B-NUM'] }),
  },
  chat: { model: 'tiny', task: 'CAUSAL_LM', line: (i: number) => ({ prompt: `${i}?`, completion: 'b' }) },
} as const;

/** Scores by `graft score` of the adapter of `model` on the base `encoder`, after downloading it. `folder` has base-models.json. */
export async function scoresOfDownload(
  { folder, env }: { folder: string; env: NodeJS.ProcessEnv },
  model: string,
  input: readonly string[],
): Promise<{ embedding: number[]; logits: number[] }[]> {
  const at = join(folder, `local-${model.replaceAll(':', '-')}`);
  const [inputFile, outputFile] = [`${at}.jsonl`, `${at}.out.jsonl`];
  await writeFile(inputFile, input.map((text) => JSON.stringify({ text })).join('\n'));
  const run = async (...args: string[]) => {
    const own = { ...env, GRAFT_BASE_MODELS: join(folder, 'base-models.json') };
    const ran = await runGraft(args, { cwd: folder, env: own });
    assert.equal(ran.code, 0, ran.stderr);
  };
  await run('adapters', 'download', model, '--output', at);
  const files = ['--input', inputFile, '--output', outputFile];
  await run('score', '--model', 'encoder', '--adapter', at, ...files);
  const lines = (await readFile(outputFile, 'utf8')).trimEnd().split('\n');
  return lines.map((line) => JSON.parse(line));
}
