/** What tells GGUF's architectures apart: names of tensors, and how they are laid out. Source: llama.cpp, gguf-py/gguf/constants.py and convert_hf_to_gguf.py. */
export interface GgufArchitecture {
  /** Hugging Face's. */
  modelType: string;
  /** Hugging Face's path of the list of blocks. */
  blocks: string;
  /** GGUF's names of the parts of a block, and Hugging Face's within it. */
  blockParts: Readonly<Record<string, string>>;
  otherParts: Readonly<Record<string, string>>;
  /** Rows of attn_q and attn_k are interleaved, as llama.cpp's first kind of rope takes them. */
  interleaved: boolean;
  /** Parts of a block whose weights Hugging Face has as `(in, out)`: Conv1D. */
  transposed: readonly string[];
}

const decoderParts = {
  attn_norm: 'input_layernorm',
  attn_q: 'self_attn.q_proj',
  attn_k: 'self_attn.k_proj',
  attn_v: 'self_attn.v_proj',
  attn_output: 'self_attn.o_proj',
  ffn_norm: 'post_attention_layernorm',
  ffn_gate: 'mlp.gate_proj',
  ffn_up: 'mlp.up_proj',
  ffn_down: 'mlp.down_proj',
};

const decoder = {
  blocks: 'model.layers',
  blockParts: decoderParts,
  otherParts: { token_embd: 'model.embed_tokens', output_norm: 'model.norm', output: 'lm_head' },
  interleaved: false,
  transposed: [],
};

/** By `general.architecture`. Mistral's files are `llama`: they do not tell of a sliding window. */
export const ggufArchitectures: Readonly<Record<string, GgufArchitecture>> = {
  llama: { ...decoder, modelType: 'llama', interleaved: true },
  qwen2: { ...decoder, modelType: 'qwen2' },
  qwen3: {
    ...decoder,
    modelType: 'qwen3',
    blockParts: { ...decoderParts, attn_q_norm: 'self_attn.q_norm', attn_k_norm: 'self_attn.k_norm' },
  },
  gpt2: {
    modelType: 'gpt2',
    blocks: 'transformer.h',
    blockParts: {
      attn_norm: 'ln_1',
      attn_qkv: 'attn.c_attn',
      attn_output: 'attn.c_proj',
      ffn_norm: 'ln_2',
      ffn_up: 'mlp.c_fc',
      ffn_down: 'mlp.c_proj',
    },
    otherParts: {
      token_embd: 'transformer.wte',
      position_embd: 'transformer.wpe',
      output_norm: 'transformer.ln_f',
      output: 'lm_head',
    },
    interleaved: false,
    transposed: ['attn_qkv', 'attn_output', 'ffn_up', 'ffn_down'],
  },
};
