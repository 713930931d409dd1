import { type Static, Type } from 'typebox';
import { configFault, type Fault, show } from '../../../schema/check-fields.ts';
import { INPUT_DIRECTIONS } from './init-names.ts';

/** HF PEFT 0.21's EvaConfig, with its defaults. */
export const EvaConfigSchema = Type.Object(
  {
    rho: Type.Optional(
      Type.Number({
        minimum: 1,
        default: 2,
        description:
          'Ranks are redistributed: modules whose inputs vary in more directions get a higher one, up to rho · r, and others a lower one. 1: all have r.',
      }),
    ),
    tau: Type.Optional(
      Type.Number({
        minimum: 0,
        maximum: 1,
        default: 0.99,
        description:
          'The pass over the data ends for a module when a batch turns none of its directions so far that the cosine is below this.',
      }),
    ),
    use_label_mask: Type.Optional(
      Type.Boolean({
        default: true,
        description: 'Only positions whose next token is a target count; else all of each example.',
      }),
    ),
    label_mask_value: Type.Optional(
      Type.Literal(-100, {
        default: -100,
        description: 'The label of tokens that are not targets, in HF PEFT.',
      }),
    ),
    whiten: Type.Optional(
      Type.Boolean({
        default: false,
        description: 'Divide each direction by the root of its singular value.',
      }),
    ),
    adjust_scaling_factors: Type.Optional(
      Type.Boolean({
        default: true,
        description: 'Keep the scale lora_alpha / r whatever rank a module gets.',
      }),
    ),
  },
  { additionalProperties: false },
);

type EvaConfig = Static<typeof EvaConfigSchema>;

/** That of `r`. */
const MAX_RANK = 4096;

/** Other options that `evaRequestFaults` reads. */
interface LoraOptions {
  r: number;
  use_dora: boolean;
  use_rslora: boolean;
  rank_pattern: Record<string, number>;
}

/** The options of LoraConfig that it depends on. Jobs of earlier versions lack `eva_config`. */
interface WithEva {
  init_lora_weights?: unknown;
  eva_config?: EvaConfig | null;
  task_type?: unknown;
}

/** The options with PEFT's defaults. */
export const evaOptions = ({ eva_config: given }: WithEva): Required<EvaConfig> => ({
  rho: given?.rho ?? 2,
  tau: given?.tau ?? 0.99,
  use_label_mask: given?.use_label_mask ?? true,
  label_mask_value: -100,
  whiten: given?.whiten ?? false,
  adjust_scaling_factors: given?.adjust_scaling_factors ?? true,
});

/** Violations of rules between fields, in requests and in files. */
export function evaFaults({ init_lora_weights: init = true, eva_config: given = null }: WithEva): Fault[] {
  if (init === INPUT_DIRECTIONS || given === null) return [];
  return [configFault('eva_config', `needs init_lora_weights "eva", not ${show(init)}`)];
}

/**
 * The rank with which modules are trained where the data gives each its own: r · rho, above which no module goes. What a module does not get stays
 * zero, in A and in B, since neither then has a gradient.
 */
export function widestRank(config: WithEva & { r: number }): number {
  return config.init_lora_weights === INPUT_DIRECTIONS
    ? pythonRound(config.r * evaOptions(config).rho)
    : config.r;
}

/** Python rounds halves to even numbers. */
const pythonRound = (x: number) => (x % 1 === 0.5 ? 2 * Math.round(x / 2) : Math.round(x));

/**
 * Requirements of training, unlike files, which have the resulting ranks and alphas: the scale of each update is lora_alpha / r whatever its
 * rank, and so that of the widest.
 */
export function evaRequestFaults(config: WithEva & Partial<LoraOptions>): Fault[] {
  const { r = 8, init_lora_weights: init, task_type: task = 'CAUSAL_LM' } = config;
  if (init !== INPUT_DIRECTIONS) return [];
  const { rho, adjust_scaling_factors: adjusts } = evaOptions(config);
  const faults: Fault[] = [];
  const need = (option: string, value: string, given: string) =>
    faults.push(configFault(option, `must be ${value} with ${given}`));
  const eva = 'init_lora_weights "eva"';
  // PEFT's masks of labels are those of language models.
  if (task !== 'CAUSAL_LM') need('task_type', '"CAUSAL_LM"', eva);
  if (config.use_dora) need('use_dora', 'false', eva);
  if (rho === 1) return faults;
  const redistribution = `eva_config.rho ${rho}, which redistributes ranks; at rho 1 none are`;
  if (!adjusts) need('eva_config.adjust_scaling_factors', 'true', redistribution);
  if (config.use_rslora) need('use_rslora', 'false', redistribution);
  if (Object.keys(config.rank_pattern ?? {}).length > 0) need('rank_pattern', '{}', redistribution);
  const widest = widestRank({ ...config, r });
  if (widest > MAX_RANK)
    faults.push(configFault('eva_config.rho', `r times rho is ${widest}, and a rank is at most ${MAX_RANK}`));
  return faults;
}
