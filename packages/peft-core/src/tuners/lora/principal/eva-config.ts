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
          'Maximum rank of a module as a multiple of r, where ranks are redistributed over modules. Graft redistributes none: set 1.',
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
        description: 'Adjust alphas to redistributed ranks. At rho 1 there are none.',
      }),
    ),
  },
  { additionalProperties: false },
);

type EvaConfig = Static<typeof EvaConfigSchema>;

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
export function evaFaults(config: WithEva): Fault[] {
  const { init_lora_weights: init = true, eva_config: given = null, task_type: task = 'CAUSAL_LM' } = config;
  if (init !== INPUT_DIRECTIONS)
    return given === null
      ? []
      : [configFault('eva_config', `needs init_lora_weights "eva", not ${show(init)}`)];
  // PEFT's masks of labels are those of language models.
  return task === 'CAUSAL_LM'
    ? []
    : [configFault('init_lora_weights', `"eva" needs task_type "CAUSAL_LM", not ${show(task)}`)];
}

/** A request may not ask for redistributed ranks; a file has them in its rank_pattern. */
export function redistributionFaults(config: WithEva): Fault[] {
  if (config.init_lora_weights !== INPUT_DIRECTIONS) return [];
  if (evaOptions(config).rho === 1) return [];
  const message = 'must be 1: ranks that depend on the data are not implemented, and 2 is the default';
  return [configFault('eva_config.rho', message)];
}
