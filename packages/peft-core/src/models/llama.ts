import { llamaOutline } from '../outlines/llama.ts';
import type { TaskType } from '../outlines/outline.ts';
import type { Architecture } from './architecture.ts';
import { decoder } from './decoder.ts';

/** Llama: SmolLM2, TinyLlama, Llama 2 and 3. */
export const llama = (config: Record<string, unknown>, task: TaskType): Architecture =>
  decoder(llamaOutline(config, task));
