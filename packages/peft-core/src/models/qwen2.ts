import { qwen2 as family } from '../outlines/qwen2.ts';
import type { MakeArchitecture } from './architecture.ts';
import { decoder } from './decoder.ts';

/** Qwen 2 and 2.5: the decoders' forward pass. */
export const qwen2: MakeArchitecture = (config, task) => decoder(family.outline(config, task));
