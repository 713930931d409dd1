import type { ModelOutline } from '../../outlines/outline.ts';
import { MODEL_PREFIX } from '../file-tensors.ts';
import type { LowRankForm, LowRankPart } from '../method.ts';
import { isWithin, resolveModulesToSave } from '../target-modules.ts';
import type { LoraConfig } from './config.ts';
import { withoutFormerNames } from './former-names.ts';
import { expertNames, loraNames, loraTargets } from './targets.ts';

/** The adapter as low-rank updates, and what it holds beside them. */
export function lowRankForm(given: LoraConfig, model: ModelOutline): LowRankForm {
  const config = withoutFormerNames(given, model);
  const saved = resolveModulesToSave(
    { modules_to_save: [...(config.modules_to_save ?? []), ...model.taskHead] },
    model.modules,
  );
  const adapted = loraTargets(config, model);
  const targets = adapted.targets.filter(({ name }) => !saved.some((module) => isWithin(name, module)));
  const keys = ({ a, b }: { a: string; b: string }) => ({ a: MODEL_PREFIX + a, b: MODEL_PREFIX + b });
  const updates: LowRankPart[] = targets.map((target) => ({
    module: target.name,
    kind: target.isRouter ? 'router' : target.kind,
    ...keys(loraNames(target, config)),
    rank: target.rank,
    scale: target.scale,
    width: target.width,
    out: target.out,
  }));
  for (const target of adapted.experts) {
    const { name: module, rank, scale, width, out } = target;
    updates.push({ module, kind: 'experts', ...keys(expertNames(target)), rank, scale, width, out });
  }
  return {
    updates,
    others: [
      ...(config.use_dora ? ['magnitudes (use_dora)'] : []),
      ...(config.lora_bias ? ['biases of updates (lora_bias)'] : []),
      ...(config.bias === 'none' ? [] : [`biases (bias ${JSON.stringify(config.bias)})`]),
      ...(saved.length > 0 ? [`modules trained in full (${saved.join(', ')})`] : []),
      ...(config.trainable_token_indices === null ? [] : ['rows of tokens (trainable_token_indices)']),
    ],
  };
}

/** The config of an adapter whose updates all have one rank and scale. */
export const uniformLora = (config: LoraConfig, rank: number, scale: number): LoraConfig => ({
  ...config,
  r: rank,
  lora_alpha: scale * rank,
  use_rslora: false,
  rank_pattern: {},
  alpha_pattern: {},
});

/** The bias of an update can be merged only into a bias of the base model. */
export function unmergeableBias(config: LoraConfig, model: ModelOutline): string | null {
  if (!config.lora_bias) return null;
  const biased = new Set(model.parameters.map(({ name }) => name));
  const bare = lowRankForm(config, model).updates.find(({ module }) => !biased.has(`${module}.bias`));
  return bare ? `lora_bias trained a bias, and ${bare.module} has none to add it to` : null;
}
