import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { llamaAddon } from '../../scripts/tools/llama-cpp.ts';
import { answerTokens, type Chat } from './chats.ts';

interface Speed {
  tokens: number;
  seconds: number;
}

/** The same questions by llama.cpp, without adapters. Throws where it has no build for this platform. */
export async function llamaCppSide(options: {
  /** A GGUF file. */
  model: string;
  chats: readonly Chat[];
  rows: number;
  alone: number;
  threads: number;
}): Promise<{ oneByOne: Speed; together: Speed }> {
  const addon = llamaAddon();
  if (addon === null)
    throw new Error('there is no build of llama.cpp for this platform: leave llama-cpp out of --sides');
  const { chats, ...plan } = options;
  const child = spawn(process.execPath, [join(import.meta.dirname, 'llama-cpp-process.mjs')], {
    stdio: ['pipe', 'pipe', 'inherit'],
    timeout: 900_000,
    killSignal: 'SIGKILL',
  });
  const prompts = chats.map(({ prompt }) => prompt);
  child.stdin.end(JSON.stringify({ ...plan, addon, prompts, tokens: answerTokens }));
  let said = '';
  for await (const part of child.stdout.setEncoding('utf8')) said += part;
  if (said === '') throw new Error('llama.cpp gave no figures; what it said is above');
  return JSON.parse(said);
}
