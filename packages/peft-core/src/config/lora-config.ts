import { type Static, Type } from 'typebox';
import { MAX_PATTERN_LENGTH } from './module-pattern.ts';

const ModuleName = Type.String({ minLength: 1, maxLength: 256 });
const ModuleNames = Type.Array(ModuleName, { maxItems: 1024 });
const TargetNames = Type.Array(ModuleName, { minItems: 1, maxItems: 1024 });
const Pattern = Type.String({ minLength: 1, maxLength: MAX_PATTERN_LENGTH });
const LayerIndex = Type.Integer({ minimum: 0, maximum: 10_000 });
const Rank = Type.Integer({ minimum: 1, maximum: 4096 });
const Alpha = Type.Number({ exclusiveMinimum: 0 });

/**
 * LoRA, with the names and defaults of HF PEFT 0.21's LoraConfig. Every field is present once parsed; a request may
 * leave out any of them but `peft_type`. PEFT's other options are in UNIMPLEMENTED_LORA_OPTIONS.
 */
export const LoraConfigSchema = Type.Object(
  {
    peft_type: Type.Literal('LORA', { description: 'The PEFT method.' }),
    task_type: Type.Enum(['CAUSAL_LM'], {
      type: 'string',
      default: 'CAUSAL_LM',
      description: 'What the model is trained to do.',
    }),
    r: Type.Integer({ minimum: 1, maximum: 4096, default: 8, description: 'Rank of the update matrices.' }),
    lora_alpha: Type.Number({
      exclusiveMinimum: 0,
      default: 8,
      description: 'The update is scaled by lora_alpha / r (by lora_alpha / √r with use_rslora).',
    }),
    lora_dropout: Type.Number({
      minimum: 0,
      exclusiveMaximum: 1,
      default: 0,
      description: 'Probability that an input of the update is dropped during training.',
    }),
    target_modules: Type.Union([TargetNames, Pattern, Type.Null()], {
      default: null,
      description:
        'Modules to adapt: names matched as suffixes, a regular expression matched against the whole path, or "all-linear" (every linear layer but the output layer). Null takes the default for the architecture (q_proj and v_proj for llama).',
    }),
    exclude_modules: Type.Union([ModuleNames, Pattern, Type.Null()], {
      default: null,
      description: 'Modules left out even if target_modules matches them: names or a regular expression.',
    }),
    bias: Type.Enum(['none', 'all', 'lora_only'], {
      type: 'string',
      default: 'none',
      description: 'Which existing bias vectors are trained too.',
    }),
    use_rslora: Type.Boolean({
      default: false,
      description: 'Scale by lora_alpha / √r (rank-stabilised LoRA).',
    }),
    layers_to_transform: Type.Union([Type.Array(LayerIndex, { maxItems: 1024 }), LayerIndex, Type.Null()], {
      default: null,
      description: 'Adapt only these layers (0-based). Only with a list of target_modules.',
    }),
    layers_pattern: Type.Union([Type.Array(Pattern, { maxItems: 32 }), Pattern, Type.Null()], {
      default: null,
      description: 'Name of the list of layers that layers_to_transform counts, if not the usual one.',
    }),
    rank_pattern: Type.Record(Type.String(), Rank, {
      default: {},
      maxProperties: 1024,
      description: 'Ranks that differ from r, by module name or regular expression.',
    }),
    alpha_pattern: Type.Record(Type.String(), Alpha, {
      default: {},
      maxProperties: 1024,
      description: 'Alphas that differ from lora_alpha, by module name or regular expression.',
    }),
    modules_to_save: Type.Union([ModuleNames, Type.Null()], {
      default: null,
      description: 'Modules trained in full and saved with the adapter, by the end of their name.',
    }),
    init_lora_weights: Type.Union([Type.Boolean(), Type.Literal('gaussian')], {
      default: true,
      description:
        'true: Kaiming-uniform A, zero B. "gaussian": normal A with deviation 1/r, zero B. false: both random.',
    }),
    fan_in_fan_out: Type.Boolean({
      default: false,
      description: 'The target stores its weight as (in, out).',
    }),
  },
  {
    $id: 'LoraConfig',
    description: 'Low-rank adaptation. Other options of HF PEFT are accepted at their default only.',
  },
);

export type LoraConfig = Static<typeof LoraConfigSchema>;

/** Options that HF PEFT 0.21.2's LoraConfig has and Graft has not, with PEFT's defaults: at its default one asks for nothing. */
export const UNIMPLEMENTED_LORA_OPTIONS: Record<string, unknown> = {
  megatron_config: null,
  megatron_core: 'megatron.core',
  trainable_token_indices: null,
  loftq_config: {},
  eva_config: null,
  corda_config: null,
  lora_ga_config: null,
  use_dora: false,
  velora_config: null,
  alora_invocation_tokens: null,
  use_qalora: false,
  qalora_group_size: 16,
  monteclora_config: null,
  layer_replication: null,
  runtime_config: { ephemeral_gpu_offload: false },
  lora_bias: false,
  target_parameters: null,
  use_bdlora: null,
  arrow_config: null,
  kasa_config: null,
  ensure_weight_tying: false,
};

/** Values PEFT knows for options that Graft implements in part. `pissa_niter_N` is matched by its prefix. */
export const UNIMPLEMENTED_INIT_LORA_WEIGHTS = [
  'eva',
  'olora',
  'pissa',
  'corda',
  'loftq',
  'orthogonal',
  'mica',
  'lora_ga',
];
