import { mistralOutline } from '../outlines/mistral.ts';
import type { TaskType } from '../outlines/outline.ts';
import type { Architecture } from './architecture.ts';
import { decoder } from './decoder.ts';

/** Mistral 7B and its kin: llama with a sliding window. */
export const mistral = (config: Record<string, unknown>, task: TaskType): Architecture =>
  decoder(mistralOutline(config, task));
