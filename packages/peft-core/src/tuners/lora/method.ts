import type { LoraConfig } from '../../config/index.ts';
import { GraftError } from '../../errors.ts';
import type { ModelOutline } from '../../outlines/outline.ts';
import { isWithin, notFoundError, resolveModulesToSave } from '../target-modules.ts';
import { type TokenTarget, tokenTargets } from '../token-targets.ts';
import { type LoraTarget, loraTargets, tokensByModule } from './targets.ts';

/** Throws `target_modules_not_found`, `target_modules_required`, `invalid_peft_config`. */
export function checkLora(config: LoraConfig, model: ModelOutline): void {
  const saved = resolveModulesToSave(config, model.modules);
  const { targets, unfit } = loraTargets(config, model);
  if (unfit.length > 0) {
    const names = unfit.slice(0, 4).map(({ name, kind }) => `${name} (${kind})`);
    throw invalid('target_modules', `LORA adapts linear layers and embeddings, not ${names.join(', ')}`);
  }
  const table = targets.find(({ kind }) => kind === 'embedding');
  if (table && config.lora_bias)
    throw invalid('lora_bias', `is not there for embeddings, and target_modules adapts ${table.name}`);
  checkTokens(loraTokenTargets(config, model), targets, saved);
}

/**
 * The rows of trainable_token_indices. Throws `target_modules_not_found` for a name that finds no module, and
 * `invalid_peft_config` for ids that are none.
 */
export function loraTokenTargets(config: LoraConfig, model: ModelOutline): TokenTarget[] {
  const wanted = tokensByModule(config, model);
  for (const { entry, modules } of wanted)
    if (modules.length === 0) throw notFoundError('trainable_token_indices', entry, model.modules);
  const byModule = wanted.flatMap(({ modules, ids }) => modules.map((module) => ({ module, ids })));
  return tokenTargets(byModule, model, 'trainable_token_indices');
}

/** A table whose rows are trained can be neither adapted nor trained in full; a head tied to it can be adapted besides. */
function checkTokens(tokens: TokenTarget[], targets: LoraTarget[], saved: string[]): void {
  for (const { module, followers } of tokens) {
    if (targets.some(({ name }) => name === module))
      throw invalid('trainable_token_indices', `trains rows of ${module}, which target_modules adapts`);
    const whole = [module, ...followers].find((name) => saved.some((each) => isWithin(name, each)));
    if (whole === undefined) continue;
    const tie = whole === module ? '' : `${whole}, which is tied to `;
    throw invalid(
      'trainable_token_indices',
      `trains rows of ${tie}${module}; modules_to_save trains ${whole === module ? 'it' : whole} in full`,
    );
  }
}

function invalid(option: string, message: string): GraftError {
  return new GraftError('invalid_peft_config', `${option}: ${message}`, { param: `peft.${option}` });
}
