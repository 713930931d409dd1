import type { DecoderRow } from '../decoder.ts';
import {
  expertPartsOfGguf,
  expertTensors,
  expertTensorsOfGguf,
  formerModules,
  sparseNetwork,
} from '../experts.ts';
import { missingOf, u32 } from '../gguf/decoder-gguf.ts';
import { qwen3 } from './qwen3.ts';

/** Qwen 3 with experts. Source: transformers, models/qwen3_moe/configuration_qwen3_moe.py and modeling_qwen3_moe.py. */
export const qwen3Moe: DecoderRow = {
  ...qwen3,
  className: 'Qwen3Moe',
  // PEFT 0.21.2 has none for this architecture.
  defaultTargets: {},
  adaptersInterface: null,
  expertTensors,
  formerModules,
  gguf: {
    ...qwen3.gguf!,
    architecture: 'qwen3moe',
    blockParts: { ...qwen3.gguf!.blockParts, ffn_gate_inp: 'mlp.gate', ...expertPartsOfGguf },
    expertTensors: expertTensorsOfGguf,
    config: (header) => ({
      ...qwen3.gguf!.config(header),
      num_experts: header.size('expert_count'),
      num_experts_per_tok: header.size('expert_used_count'),
      moe_intermediate_size: header.size('expert_feed_forward_length'),
      // llama.cpp computes every such model so.
      norm_topk_prob: true,
    }),
    fields: (outline) => ({
      ...qwen3.gguf!.fields(outline),
      expert_count: u32(outline.sparse!.experts),
      expert_used_count: u32(outline.sparse!.chosen),
      expert_feed_forward_length: u32(outline.sparse!.width),
    }),
    missing(outline) {
      const { sparse, layers } = outline;
      if (!sparse!.normalised) return 'router whose weights are not normalised (norm_topk_prob false)';
      const plain = Array.from({ length: layers }, (_, layer) => layer).find((l) => !sparse!.isSparse(l));
      return plain === undefined ? missingOf(outline, {}) : `layer without experts, as ${plain} is`;
    },
  },
  defaults: { num_key_value_heads: 4, max_position_embeddings: 32_768, intermediate_size: 6144 },
  sparse: sparseNetwork,
};
