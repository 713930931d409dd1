import { GraftError, type PeftConfig } from '@graft/peft-core/config';
import { moduleNames } from '@graft/peft-core/module-names';
import { rankAndAlphaFor, resolveModulesToSave, resolveTargetModules } from '@graft/peft-core/target-modules';
import type { LocalBaseModel } from '@graft/service';

/**
 * Whether a PEFT config fits a base model, from the model's config alone. Throws GraftError
 * `target_modules_not_found`, `unimplemented_peft_option`, `rank_too_large`, `unsupported_model`.
 */
export function checkAgainstModel(
  peft: PeftConfig,
  { config, modelType }: Pick<LocalBaseModel, 'config' | 'modelType'>,
): void {
  const modules = new Map(moduleNames(config).map((module) => [module.name, module]));
  const all = [...modules.values()];
  resolveModulesToSave(peft, all);
  const targets = resolveTargetModules(peft, all, modelType).map((name) => modules.get(name)!);

  const unfit = targets.filter(({ kind }) => kind !== 'linear');
  if (unfit.length > 0) {
    const names = unfit.slice(0, 4).map(({ name, kind }) => `${name} (${kind})`);
    throw new GraftError(
      'unimplemented_peft_option',
      `target_modules: LORA adapts linear layers only so far, not ${names.join(', ')}`,
      { param: 'peft.target_modules' },
    );
  }
  for (const { name, in: width = 0, out = 0 } of targets) {
    const { rank } = rankAndAlphaFor(peft, name);
    if (rank > Math.min(width, out)) {
      const param = rank === peft.r ? 'peft.r' : 'peft.rank_pattern';
      throw new GraftError(
        'rank_too_large',
        `rank ${rank} is larger than ${name} allows: its weight is ${out} × ${width}`,
        { param },
      );
    }
  }
}

/** Tokens the model can attend to. */
export function contextLength({ config }: Pick<LocalBaseModel, 'config'>): number {
  const positions = config.max_position_embeddings;
  return typeof positions === 'number' && positions > 0 ? positions : Number.POSITIVE_INFINITY;
}
