import { join } from 'node:path';
import { runForResult } from '../../scripts/measuring/processes.ts';
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
  const prompts = chats.map(({ prompt }) => prompt);
  const file = join(import.meta.dirname, 'llama-cpp-process.mjs');
  const program = { command: process.execPath, args: [file], env: {} };
  return await runForResult(program, { ...plan, addon, prompts, tokens: answerTokens }, { seconds: 900 });
}
