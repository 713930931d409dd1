import type { ConfigFields } from './config-fields.ts';
import type { ExpertRouting, OutlineBuilder } from './outline.ts';

/** Feed-forward networks of several experts, of which each token uses some. */
export interface SparseNetwork extends ExpertRouting {
  /** Width I of one expert. */
  width: number;
  /** Name of the module in a layer, and of its router. */
  module: 'mlp' | 'block_sparse_moe';
  router: 'gate' | 'router';
  /** The layer's dense network computes every token, too, and both outputs are added. */
  addsDense: boolean;
  /** Width of an expert that computes every token, behind a gate, and is added; null: there is none. */
  shared: number | null;
  /**
   * Set for experts of another form: their router has a bias, as both products have. Transformers holds the matrices
   * as `(E, in, out)`; the rows of gate and up alternate, and the gate is clamped.
   */
  clamped: ClampedGate | null;
  /** Returns true if a layer has experts; the others have one network. */
  isSparse(layer: number): boolean;
}

/** `(clip(up, ±limit) + 1) · g · σ(slope · g)` with `g = min(gate, limit)`. */
export interface ClampedGate {
  slope: number;
  limit: number;
}

/** Maximum number of experts, to limit what a hostile file can make Graft list. */
const MOST_EXPERTS = 4096;

/**
 * Experts in every `decoder_sparse_step`-th layer, except in `mlp_only_layers`. `num_experts` is called `num_local_experts` in
 * configs of transformers 5.
 */
export function sparseNetwork(raw: Record<string, unknown>, fields: ConfigFields): SparseNetwork {
  const name = raw.num_local_experts == null ? 'num_experts' : 'num_local_experts';
  const experts = fields.size(name, 128, MOST_EXPERTS);
  const chosen = fields.size('num_experts_per_tok', 8);
  if (chosen > experts) fields.fault(`num_experts_per_tok must be at most ${name}`);
  const step = fields.size('decoder_sparse_step', 1);
  const dense = raw.mlp_only_layers ?? [];
  if (!Array.isArray(dense) || !dense.every(Number.isInteger))
    fields.fault('mlp_only_layers must be a list of numbers of layers');
  const plain = new Set(Array.isArray(dense) ? dense : []);
  const balance = fields.number('router_aux_loss_coef', 0.001);
  return {
    experts,
    chosen,
    normalised: fields.flag('norm_topk_prob'),
    width: fields.size('moe_intermediate_size', 768),
    module: 'mlp',
    router: 'gate',
    addsDense: false,
    shared: null,
    clamped: null,
    isSparse: (layer) => !plain.has(layer) && (layer + 1) % step === 0,
    balance: fields.flag('output_router_logits') ? balance : 0,
  };
}

/** The same beside an expert that computes every token. */
export function sparseNetworkWithShared(raw: Record<string, unknown>, fields: ConfigFields): SparseNetwork {
  return { ...sparseNetwork(raw, fields), shared: fields.size('shared_expert_intermediate_size') };
}

/** The names of experts' weights, and those of their parts in checkpoints with a tensor for each matrix. */
export const expertTensors = {
  'mlp.experts.gate_up_proj': ['mlp.experts.*.gate_proj.weight', 'mlp.experts.*.up_proj.weight'],
  'mlp.experts.down_proj': ['mlp.experts.*.down_proj.weight'],
};

/** The same for llama.cpp's files, by the names that Graft gives to their tensors. */
export const expertTensorsOfGguf = {
  'mlp.experts.gate_up_proj': ['mlp.experts.gate_proj.weight', 'mlp.experts.up_proj.weight'],
  'mlp.experts.down_proj': ['mlp.experts.down_proj.weight'],
};

/** The same of experts with biases. */
export const biasedExpertTensorsOfGguf = {
  ...expertTensorsOfGguf,
  'mlp.experts.gate_up_proj_bias': ['mlp.experts.gate_proj.bias', 'mlp.experts.up_proj.bias'],
  'mlp.experts.down_proj_bias': ['mlp.experts.down_proj.bias'],
};

/** Their parts of a block in llama.cpp's files. */
export const expertPartsOfGguf = {
  ffn_gate_exps: 'mlp.experts.gate_proj',
  ffn_up_exps: 'mlp.experts.up_proj',
  ffn_down_exps: 'mlp.experts.down_proj',
};

/** Linear modules of transformers 4, which PEFT translates: `ModelOutline.formerModules`. */
export const formerModules = {
  gate: 'gate.weight',
  gate_proj: 'gate_up_proj',
  up_proj: 'gate_up_proj',
  down_proj: 'down_proj',
};

/** Adds the experts of a layer and their router. `path`: that of the feed-forward network. */
export function addExperts(
  all: OutlineBuilder,
  path: string,
  { experts, width, shared, clamped, router, addsDense }: SparseNetwork,
  hiddenSize: number,
): void {
  if (clamped) {
    all
      .router(`${path}.${router}`, experts, hiddenSize)
      .parameter(`${path}.${router}.bias`, [experts])
      .container(`${path}.experts`)
      .experts(`${path}.experts.gate_up_proj`, [experts, 2 * width, hiddenSize], { turned: true })
      .parameter(`${path}.experts.gate_up_proj_bias`, [experts, 2 * width])
      .experts(`${path}.experts.down_proj`, [experts, hiddenSize, width], { turned: true })
      .parameter(`${path}.experts.down_proj_bias`, [experts, hiddenSize]);
    return;
  }
  const addRouter = () => all.router(`${path}.${router}`, experts, hiddenSize);
  const routerFirst = shared !== null || addsDense;
  if (routerFirst) addRouter();
  all
    .container(`${path}.experts`)
    .experts(`${path}.experts.gate_up_proj`, [experts, 2 * width, hiddenSize])
    .experts(`${path}.experts.down_proj`, [experts, hiddenSize, width]);
  if (!routerFirst) addRouter();
  if (shared === null) return;
  const gateAndUp = [`${path}.shared_expert.gate_proj`, `${path}.shared_expert.up_proj`];
  for (const name of gateAndUp) all.linear(name, shared, hiddenSize);
  all
    .stack(...gateAndUp)
    .linear(`${path}.shared_expert.down_proj`, hiddenSize, shared)
    .linear(`${path}.shared_expert_gate`, 1, hiddenSize);
}
