import { mistral as family } from '../outlines/mistral.ts';
import type { MakeArchitecture } from './architecture.ts';
import { decoder } from './decoder.ts';

/** Mistral: the decoders' forward pass. */
export const mistral: MakeArchitecture = (config, task) => decoder(family.outline(config, task));
