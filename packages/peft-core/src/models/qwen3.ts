import { qwen3 as family } from '../outlines/qwen3.ts';
import type { MakeArchitecture } from './architecture.ts';
import { decoder } from './decoder.ts';

/** Qwen 3: the decoders' forward pass. */
export const qwen3: MakeArchitecture = (config, task) => decoder(family.outline(config, task));
