import { GraftError } from '../../errors.ts';
import { type ModelOutline, TASK_TYPES, writesText } from '../../outlines/outline.ts';
import { optionError, show } from '../../schema/check-fields.ts';
import { checkPatterns, checkTargetNames, checkTransposed } from '../idle-targets.ts';
import { chosenRank, costlyTargets, type Method, type RatedModel, rateByWidth } from '../method.ts';
import {
  isAllLinear,
  isNarrow,
  isWithin,
  resolveModulesToSave,
  targetsAllLinear,
} from '../target-modules.ts';
import type { TokenTarget } from '../token-targets.ts';
import { checkActivation } from './activation.ts';
import { combineLora } from './combine/combine.ts';
import { type LoraConfig, LoraConfigSchema, loraFaults } from './config.ts';
import { loraFileTensors } from './file-tensors.ts';
import { lowRankForm, uniformLora, unmergeableBias } from './low-rank.ts';
import { checkParameterNames } from './parameter-targets.ts';
import { evaRequestFaults } from './principal/eva-config.ts';
import { INPUT_DIRECTIONS, isDecomposed, needsLinear, QUANTISATION_ERROR } from './principal/init-names.ts';
import { publishedLora, readLora } from './principal/published.ts';
import { startCosts } from './principal/start-costs.ts';
import { loraRuntimes } from './runtimes.ts';
import { type ExpertTarget, type LoraTarget, loraTargets, loraTokenTargets } from './targets.ts';

/** Options of HF PEFT 0.21.2's LoraConfig that Graft does not implement, with PEFT's defaults, at which Graft accepts them. */
const UNIMPLEMENTED_OPTIONS: Record<string, unknown> = {
  megatron_config: null,
  megatron_core: 'megatron.core',
  loftq_config: {},
  corda_config: null,
  lora_ga_config: null,
  velora_config: null,
  use_qalora: false,
  qalora_group_size: 16,
  monteclora_config: null,
  layer_replication: null,
  runtime_config: { ephemeral_gpu_offload: false },
  use_bdlora: null,
  arrow_config: null,
  kasa_config: null,
  ensure_weight_tying: false,
};

/** Values of init_lora_weights in PEFT that Graft does not implement. */
const UNIMPLEMENTED_INIT_LORA_WEIGHTS = ['corda', 'mica', 'lora_ga'];

/** The best configuration for text generation in docs/auto.md. */
export const usualLora = { r: 16, lora_alpha: 64, target_modules: 'all-linear' };

/** Beside "all-linear": neither the matrices of experts nor routers, which HF PEFT adapts where the option is null. */
export const withoutExperts: { target_parameters: string[] } = { target_parameters: [] };

/** The best configuration for models that generate no text. */
const usualWithoutText = { r: 8, lora_alpha: 16, target_modules: 'all-linear' };

export const loraMethod: Method<LoraConfig> = {
  title: 'LoRA',
  when: 'The first choice: close to full fine-tuning with a small part of the parameters (at r 16 some 4 % of a model of 135 million, 0.5 % of one of 8 billion), can be merged, and other runtimes serve its plain form.',
  paper: 'https://arxiv.org/abs/2106.09685',
  library: 'HF PEFT',
  servedBy: loraRuntimes,
  usual: usualLora,
  trials: {
    languageModel: { options: usualLora, epochs: 3, margin: 50 },
    classifier: { options: { r: 16, lora_alpha: 32, target_modules: ['query', 'value'] }, epochs: 10 },
  },
  schema: LoraConfigSchema,
  unimplemented: UNIMPLEMENTED_OPTIONS,
  unimplementedValue(option, value) {
    if (option === 'init_lora_weights' && typeof value === 'string') {
      if (UNIMPLEMENTED_INIT_LORA_WEIGHTS.includes(value))
        return `${show(value)} is not implemented yet; Graft implements true, false, "gaussian", "orthogonal", "pissa", "pissa_niter_N", "olora", "loftq" and "eva"`;
    }
    return null;
  },
  choose: chooseLora,
  chosenWith: { target_parameters: 'target_modules' },
  forms: ['use_dora', 'use_rslora'],
  costly: { lora_alpha: 'it is 8', ...costlyTargets },
  faults: loraFaults,
  idle: evaRequestFaults,
  neededBase: ({ init_lora_weights: init }) =>
    init === QUANTISATION_ERROR ? { dtype: 'nf4', option: `init_lora_weights ${show(init)}` } : null,
  readsInputs: ({ init_lora_weights: init }) => init === INPUT_DIRECTIONS,
  learningRate,
  hasRateGroups: true,
  maxRateFactor: (config, dataFactor) => dataFactor * Math.min(1, (16 / alphaOf(config)) ** 0.75),
  check,
  checkIdle(config, model) {
    checkNames(config, model);
    const { targets, experts } = loraTargets(config, model);
    const names = targets.map(({ name }) => name);
    checkPatterns(config, [...targets.map(({ key }) => key), ...experts.map(({ name }) => name)]);
    const free = targetsAllLinear(config) && !isDecomposed(config.init_lora_weights);
    const checked = targets.filter((target) => !target.isRouter && !(free && isNarrow(target, model)));
    checkRanks([...checked, ...experts], config.r);
    checkTransposed(config, names, model);
  },
  tokens: ({ trainable_token_indices: rows, alora_invocation_tokens: invocation }) => [
    ...Object.values(rows ?? []).flat(),
    ...(invocation ?? []),
  ],
  invocation: ({ alora_invocation_tokens: invocation }) => invocation,
  fileTensors: (config, model) => loraFileTensors(publishedLora(config), model),
  published: publishedLora,
  read: readLora,
  unreadable({ init_lora_weights: init }) {
    if (!isDecomposed(init)) return null;
    const remedy =
      init === QUANTISATION_ERROR
        ? 'train on a base in nf4 with replace_lora_weights_loftq, which leaves the weights alone and true here'
        : 'save them with path_initial_model_for_weight_conversion, which writes true here';
    const message = `${show(init)} belongs to files for a base model whose weights HF PEFT has changed; ${remedy}`;
    return { option: 'init_lora_weights', message };
  },
  combine: combineLora,
  unmergeable: (config, model) =>
    config.alora_invocation_tokens
      ? 'it is active only from its invocation tokens on (alora_invocation_tokens), and merged weights would always be'
      : unmergeableBias(config, model),
  startCosts,
  lowRank: (config, model) => lowRankForm(publishedLora(config), model),
  uniform: uniformLora,
  keptNumbers(requested, model) {
    const config = publishedLora(requested);
    const { targets, experts } = loraTargets(config, model);
    const expertRanks = experts.reduce((sum, { rank }) => sum + rank, 0) * (model.routing?.chosen ?? 1);
    // The gradient of DoRA's factors needs the outputs that they scale.
    return targets.reduce((sum, { rank, out }) => sum + rank + (config.use_dora ? out : 0), expertRanks);
  },
  // For two modules at a time: the weight and its update, which are added to compute the norms.
  weightCopies: ({ use_dora }, kernels) => (use_dora && !kernels ? 4 : 0),
  tensorNames: ['lora', 'token_adapter'],
  floats: ['lora_dropout'],
};

/** Uses one lora_alpha for every rank: larger values gave no improvement in docs/auto.md. With rsLoRA it is divided by √rank. */
function chooseLora(given: Record<string, unknown>, maxRank: number): Record<string, unknown> {
  const task = TASK_TYPES.find((each) => each === given.task_type) ?? 'CAUSAL_LM';
  const usual = writesText(task) ? usualLora : usualWithoutText;
  const r = chosenRank(given, usual.r, maxRank);
  const alpha = usual.lora_alpha / (given.use_rslora === true ? Math.sqrt(r) : 1);
  return { ...usual, ...withoutExperts, r, lora_alpha: Number(alpha.toPrecision(2)) };
}

/** Throws `target_modules_not_found`, `target_modules_required`, `invalid_peft_config`. */
function check(config: LoraConfig, model: ModelOutline): void {
  const saved = resolveModulesToSave(config, model.modules);
  const { targets, experts, unfit } = loraTargets(config, model);
  if (unfit.length > 0) {
    const names = unfit.slice(0, 4).map(({ name, kind }) => `${name} (${kind})`);
    throw optionError('target_modules', `LORA adapts linear layers and embeddings, not ${names.join(', ')}`);
  }
  const table = targets.find(({ kind }) => kind === 'embedding');
  if (table && config.lora_bias)
    throw optionError('lora_bias', `is not there for embeddings, and target_modules adapts ${table.name}`);
  if (table && needsLinear(config.init_lora_weights))
    throw optionError(
      'init_lora_weights',
      `${show(config.init_lora_weights)} is not there for embeddings, and target_modules adapts ${table.name}`,
    );
  if (config.init_lora_weights === INPUT_DIRECTIONS)
    checkInputs(loraTargets(publishedLora(config), model).targets, config.r);
  checkTokens(loraTokenTargets(config, model), targets, saved);
  checkActivation(config, model, { targets, experts });
  checkParameters(config, [...targets.filter(({ isRouter }) => isRouter), ...experts], saved);
}

/**
 * Refuses modules whose inputs the pass over the data does not have: the output layer, and those with fewer inputs than the rank, which may
 * be a multiple of a request's `r`.
 */
function checkInputs(targets: LoraTarget[], r: number): void {
  for (const target of targets) {
    const { name, width, rank, isRouter } = target;
    if (isRouter) continue;
    if (!isAllLinear(target))
      throw optionError('init_lora_weights', `"eva" is not there for ${name}, which target_modules adapts`);
    if (rank > width)
      throw new GraftError(
        'rank_too_large',
        `rank ${rank}${rank === r ? '' : ' (r times eva_config.rho)'} is larger than the number of inputs of ${name}, ${width}`,
        { param: 'peft.r' },
      );
  }
}

/** Refuses options that PEFT does not have for parameters. `adapted`: those of experts and routers. */
function checkParameters(config: LoraConfig, adapted: (LoraTarget | ExpertTarget)[], saved: string[]): void {
  const [first] = adapted;
  if (!first) return;
  const what = `which target_parameters, or a name for them in target_modules, adapts; to adapt attention alone, name its modules in target_modules`;
  const refuse = (option: string, rule: string) => {
    throw optionError(option, `${rule} for parameters such as ${first.name}, ${what}`);
  };
  if (config.lora_dropout > 0) refuse('lora_dropout', 'must be 0');
  if (config.use_dora) refuse('use_dora', 'is not there');
  if (config.lora_bias) refuse('lora_bias', 'is not there');
  const { init_lora_weights: init } = config;
  if (init === 'orthogonal' || needsLinear(init)) refuse('init_lora_weights', `${show(init)} is not there`);
  const whole = adapted.find(({ name }) => saved.some((module) => isWithin(name, module)));
  if (whole) throw optionError('modules_to_save', `trains ${whole.name} in full, which LORA adapts`);
}

/** Refuses names that match nothing, except those that PEFT translates. */
function checkNames(config: LoraConfig, model: ModelOutline): void {
  checkParameterNames(config, model);
  const { target_modules: targets } = config;
  const former = Object.keys(model.formerModules ?? {});
  const named = Array.isArray(targets)
    ? targets.filter((target) => !former.some((name) => target === name || target.endsWith(`.${name}`)))
    : targets;
  checkTargetNames({ ...config, target_modules: named }, model);
  if (config.layers_to_transform !== null && loraTargets(config, model).experts.length > 0)
    throw optionError('layers_to_transform', 'does not apply to the matrices of experts: leave it out');
}

/** A table with trained rows can be neither adapted nor trained in full; a head tied to it can be adapted as well. */
function checkTokens(tokens: TokenTarget[], targets: LoraTarget[], saved: string[]): void {
  for (const { module, followers } of tokens) {
    if (targets.some(({ name }) => name === module))
      throw optionError('trainable_token_indices', `trains rows of ${module}, which target_modules adapts`);
    const whole = [module, ...followers].find((name) => saved.some((each) => isWithin(name, each)));
    if (whole === undefined) continue;
    const tie = whole === module ? '' : `${whole}, which is tied to `;
    throw optionError(
      'trainable_token_indices',
      `trains rows of ${tie}${module}; modules_to_save trains ${whole === module ? 'it' : whole} in full`,
    );
  }
}

/** Refuses a rank above a weight's maximum: a request's `r`, or a value of rank_pattern. */
function checkRanks(targets: (LoraTarget | ExpertTarget)[], r: number): void {
  for (const { name, width, out, rank } of targets) {
    if (rank <= Math.min(width, out)) continue;
    throw new GraftError(
      'rank_too_large',
      `rank ${rank} is larger than ${name} allows: its weight is ${out} × ${width}`,
      { param: rank === r ? 'peft.r' : 'peft.rank_pattern' },
    );
  }
}

/**
 * With lora_alpha 16 the rate is ten times that of full fine-tuning (`rateByWidth`). Below 16 it rises with √(16 / alpha); above 16 it
 * falls with a power of 16 / alpha (`fallWithAlpha`). In short runs of narrow models it falls with 16 / alpha itself, because the maximum
 * increase for short runs falls too (`maxRateFactor`). This follows the best rates measured for alpha 8 to 128, whatever the rank, in 90
 * steps of the demo and in npm run sweep, whose runs are short.
 */
function learningRate(config: LoraConfig, model?: RatedModel): number {
  const ratio = 16 / alphaOf(config);
  const times = ratio > 1 ? Math.min(2, ratio ** 0.5) : Math.max(1 / 256, ratio) ** fallWithAlpha(model);
  return rateByWidth(10 * times, model);
}

/** Up to the first width the rate follows sweeps on small models; from the second on, published recipes for models from 7 billion. */
const [narrow, wide] = [1024, 4096];

/**
 * The power of 16 / alpha with which rates fall: 1/4 on narrow models (measured at a width of 576) and 1 on wide ones, so that
 * alpha · rate is the same for every alpha: at a width of 4,096 it is 0.0046 or 0.0076, by family; published recipes have 0.0016 to
 * 0.0096. In between it rises with the logarithm of the width, which is not measured. docs/auto.md lists the recipes.
 */
function fallWithAlpha(model?: RatedModel): number {
  if (model === undefined) return 1 / 4;
  const share = Math.log(model.hiddenSize / narrow) / Math.log(wide / narrow);
  return 1 / 4 + (3 / 4) * Math.min(1, Math.max(0, share));
}

/** With rsLoRA the scale equals that of a larger alpha. */
function alphaOf({ r, lora_alpha: alpha, use_rslora }: LoraConfig): number {
  return use_rslora ? alpha * Math.sqrt(r) : alpha;
}
