import type { TaskType } from '../outlines/outline.ts';
import { qwen2Outline } from '../outlines/qwen2.ts';
import type { Architecture } from './architecture.ts';
import { decoder } from './decoder.ts';

/** Qwen 2 and 2.5: llama with biases on queries, keys and values. */
export const qwen2 = (config: Record<string, unknown>, task: TaskType): Architecture =>
  decoder(qwen2Outline(config, task));
