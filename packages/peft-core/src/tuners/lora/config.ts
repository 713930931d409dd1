import { type Static, Type } from 'typebox';
import { configFault, type Fault, show } from '../../schema/check-fields.ts';
import { layerFaults, modulePatternFaults } from '../../schema/module-options.ts';
import {
  dropoutProbability,
  excludeModules,
  fanInFanOut,
  layersPattern,
  layersToTransform,
  ModuleName,
  ModuleNames,
  modulesToSave,
  Pattern,
  rankPattern,
  taskType,
  tokenIndices,
  trainedBiases,
  updateRank,
} from '../../schema/schema-parts.ts';
import { EvaConfigSchema, evaFaults } from './principal/eva-config.ts';
import { INPUT_DIRECTIONS, QUANTISATION_ERROR, startsFromWeight } from './principal/init-names.ts';

const Alpha = Type.Number({ exclusiveMinimum: 0 });

/**
 * LoRA, with the names and defaults of HF PEFT 0.21's LoraConfig. After parsing every field is present; in a request every
 * field but `peft_type` is optional. PEFT's other options are in `method.ts`.
 */
export const LoraConfigSchema = Type.Object(
  {
    peft_type: Type.Literal('LORA', { description: 'The PEFT method.' }),
    task_type: taskType,
    r: updateRank(8),
    lora_alpha: Type.Number({
      exclusiveMinimum: 0,
      default: 8,
      description: 'The update is scaled by lora_alpha / r (by lora_alpha / √r with use_rslora).',
    }),
    lora_dropout: dropoutProbability(),
    target_modules: Type.Union([ModuleNames, Pattern, Type.Null()], {
      default: null,
      description:
        'Modules to adapt: names matched as suffixes, a regular expression matched against the whole path, or "all-linear" (every linear layer but the output layer, and those of experts). Null takes the default for the architecture, and [] none.',
    }),
    target_parameters: Type.Union([ModuleNames, Type.Null()], {
      default: null,
      description:
        'Parameters to adapt that belong to no linear layer, by the end of their name: the matrices of experts, such as "mlp.experts.gate_up_proj" and "mlp.experts.down_proj". The rank is that of each expert. [] beside "all-linear" leaves out experts and routers, which null adapts.',
    }),
    exclude_modules: excludeModules,
    bias: trainedBiases('lora_only'),
    use_rslora: Type.Boolean({
      default: false,
      description: 'Scale by lora_alpha / √r (rank-stabilised LoRA).',
    }),
    use_dora: Type.Boolean({
      default: false,
      description: 'Train the magnitude of each output channel apart from its direction (DoRA).',
    }),
    lora_bias: Type.Boolean({
      default: false,
      description: 'Add a bias to the update. It merges only into modules that have a bias.',
    }),
    layers_to_transform: layersToTransform,
    layers_pattern: layersPattern,
    rank_pattern: rankPattern,
    alpha_pattern: Type.Record(Type.String(), Alpha, {
      default: {},
      maxProperties: 1024,
      description: 'Alphas that differ from lora_alpha, by module name or regular expression.',
    }),
    modules_to_save: modulesToSave,
    trainable_token_indices: Type.Union(
      [
        tokenIndices,
        Type.Record(ModuleName, tokenIndices, { minProperties: 1, maxProperties: 16 }),
        Type.Null(),
      ],
      {
        default: null,
        description:
          'Ids of tokens whose embeddings are trained too: of the input embedding, or by the end of a module name.',
      },
    ),
    init_lora_weights: Type.Union(
      [
        Type.Boolean(),
        Type.Enum(['gaussian', 'orthogonal', 'pissa', 'olora', 'loftq', 'eva'], { type: 'string' }),
        Type.String({ pattern: '^pissa_niter_[0-9]{1,2}$' }),
      ],
      {
        default: true,
        description:
          'true: Kaiming-uniform A, zero B. "gaussian": normal A with deviation 1/r, zero B. "orthogonal": random A and B whose product is zero, for an even r. "pissa", "pissa_niter_N" (faster, with N power iterations) and "olora": the principal part of the weight, which is subtracted again, so that training starts at the base model; the files hold a plain LoRA of twice the rank. "loftq", with training.base_dtype "nf4": the principal part of what quantising took from the weight; the adapter is meant for that quantised base. "eva", with eva_config: A starts at the directions in which the inputs of each layer vary most over the training data, B at zero. false: both random.',
      },
    ),
    eva_config: Type.Union([EvaConfigSchema, Type.Null()], {
      default: null,
      description: 'How init_lora_weights "eva" reads the training data; null without it.',
    }),
    alora_invocation_tokens: Type.Union(
      [
        Type.Array(Type.Integer({ minimum: 0, maximum: 2 ** 31 - 1 }), { minItems: 1, maxItems: 256 }),
        Type.Null(),
      ],
      {
        default: null,
        description:
          'Activated LoRA: token ids from whose last occurrence in a sequence on the adapter is active. Before it the model is its base, so that answers reuse what the base computed of a prompt. Null: always active.',
      },
    ),
    fan_in_fan_out: fanInFanOut,
  },
  {
    $id: 'LoraConfig',
    description: 'Low-rank adaptation. Other options of HF PEFT are accepted at their default only.',
  },
);

export type LoraConfig = Static<typeof LoraConfigSchema>;

/** Options that would change the model before the activation, and those that PEFT does not combine with it. */
function activationFaults(config: Partial<LoraConfig>): Fault[] {
  if (!config.alora_invocation_tokens) return [];
  const faults: Fault[] = [];
  const add = (field: string, message: string) =>
    faults.push(configFault(field, `${message} with alora_invocation_tokens`));
  const { task_type: task = 'CAUSAL_LM', init_lora_weights: init = true } = config;
  if (task !== 'CAUSAL_LM') add('task_type', 'must be "CAUSAL_LM"');
  if (config.use_dora) add('use_dora', 'must be false');
  if (config.lora_bias) add('lora_bias', 'must be false');
  if ((config.bias ?? 'none') !== 'none') add('bias', 'must be "none"');
  if (startsFromWeight(init) || init === INPUT_DIRECTIONS)
    add('init_lora_weights', `${show(init)} is not there`);
  if ((config.modules_to_save ?? []).length > 0) add('modules_to_save', 'must be null');
  if ((config.trainable_token_indices ?? null) !== null) add('trainable_token_indices', 'must be null');
  if ((config.target_parameters ?? []).length > 0) add('target_parameters', 'must be null or []');
  return faults;
}

/** Violations of rules between fields, from LoraConfig.__post_init__ and the layers, and unusable regular expressions. */
export function loraFaults(given: Record<string, unknown>): Fault[] {
  const config = given as Partial<LoraConfig>;
  const faults = modulePatternFaults(given);
  const add = (field: string, message: string) => faults.push(configFault(field, message));
  const parameters = config.target_parameters ?? [];
  if (config.target_modules?.length === 0 && parameters.length === 0)
    add('target_modules', 'needs a name, unless target_parameters has one');
  faults.push(...layerFaults(given));

  const init = config.init_lora_weights ?? true;
  if (config.lora_bias && config.use_dora) add('lora_bias', 'does not go with use_dora');
  if (config.lora_bias && typeof init === 'string')
    add('lora_bias', 'needs init_lora_weights to be true or false');
  if (init === 'orthogonal') {
    if ((config.r ?? 8) % 2 !== 0) add('r', 'must be even for init_lora_weights "orthogonal"');
    const odd = Object.entries(config.rank_pattern ?? {}).find(([, rank]) => rank % 2 !== 0);
    if (odd) add('rank_pattern', `"${odd[0]}" must be even for init_lora_weights "orthogonal"`);
  }
  if (config.use_dora && init === QUANTISATION_ERROR)
    add('use_dora', `must be false with init_lora_weights ${show(init)}`);
  if (startsFromWeight(init)) {
    const rule = (field: string, value: string) =>
      add(field, `must be ${value} with init_lora_weights ${show(init)}`);
    if (config.use_dora) rule('use_dora', 'false');
    // Dropout would apply to the part that is subtracted, too.
    if ((config.lora_dropout ?? 0) > 0) rule('lora_dropout', '0');
    const most = Math.max(config.r ?? 8, ...Object.values(config.rank_pattern ?? {}));
    if (most > 2048)
      rule(most === config.r ? 'r' : 'rank_pattern', 'at most 2048, since the files have twice the rank,');
  }
  faults.push(...evaFaults(config), ...activationFaults(config));
  return faults;
}
