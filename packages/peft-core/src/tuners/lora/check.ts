import type { LoraConfig } from '../../config.ts';
import { GraftError } from '../../errors.ts';
import type { ModelOutline } from '../../outlines/outline.ts';
import { rankAndAlphaFor, resolveModulesToSave, resolveTargetModules } from '../target-modules.ts';

/** Throws `target_modules_not_found`, `unimplemented_peft_option`, `rank_too_large`. */
export function checkLora(config: LoraConfig, model: ModelOutline): void {
  const modules = new Map(model.modules.map((module) => [module.name, module]));
  resolveModulesToSave(config, model.modules);
  const targets = resolveTargetModules(config, model.modules, model.modelType).map(
    (name) => modules.get(name)!,
  );

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
    const { rank } = rankAndAlphaFor(config, name);
    if (rank > Math.min(width, out)) {
      const param = rank === config.r ? 'peft.r' : 'peft.rank_pattern';
      throw new GraftError(
        'rank_too_large',
        `rank ${rank} is larger than ${name} allows: its weight is ${out} × ${width}`,
        { param },
      );
    }
  }
}
