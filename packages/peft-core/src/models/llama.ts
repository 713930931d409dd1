import { llama as family } from '../outlines/llama.ts';
import type { MakeArchitecture } from './architecture.ts';
import { decoder } from './decoder.ts';

/** Llama 2 and 3, SmolLM2, TinyLlama: the decoders' forward pass. */
export const llama: MakeArchitecture = (config, task) => decoder(family.outline(config, task));
