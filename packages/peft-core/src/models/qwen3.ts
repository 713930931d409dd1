import type { TaskType } from '../outlines/outline.ts';
import { qwen3Outline } from '../outlines/qwen3.ts';
import type { Architecture } from './architecture.ts';
import { decoder } from './decoder.ts';

/** Qwen 3: llama with norms on each head's queries and keys. */
export const qwen3 = (config: Record<string, unknown>, task: TaskType): Architecture =>
  decoder(qwen3Outline(config, task));
