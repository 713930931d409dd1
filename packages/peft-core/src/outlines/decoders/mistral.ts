import type { DecoderRow } from '../decoder.ts';
import { oneWindow } from '../decoder-layers.ts';
import { llama } from './llama.ts';

const { sentencePieceTokenizer: _, preTokenizers: __, ...llamaGguf } = llama.gguf!;

/** Mistral. Source: transformers, models/mistral/configuration_mistral.py and modeling_mistral.py. */
export const mistral: DecoderRow = {
  className: 'Mistral',
  rateExponent: 0.781,
  defaultTargets: llama.defaultTargets,
  // llama.cpp stores these models under another architecture's name and omits their window: such files are read as that architecture.
  gguf: { ...llamaGguf, isOwn: () => false },
  defaults: { num_key_value_heads: 8, max_position_embeddings: 131_072, sliding_window: 4096 },
  bias: () => ({ qkv: false, output: false, mlp: false }),
  windows: oneWindow,
};
