import { GraftError } from '../../errors.ts';
import type { ModelOutline } from '../../outlines/outline.ts';
import { resolveModulesToSave } from '../target-modules.ts';
import type { BottleneckConfig } from './config.ts';
import { placesOf } from './places.ts';

/** Throws `invalid_peft_config`, `unimplemented_peft_option`, `target_modules_not_found`. */
export function checkBottleneck(config: BottleneckConfig, model: ModelOutline): void {
  const { layers, residualSites } = model;
  const depth = 1 + Math.max(-1, ...residualSites.map(({ layer }) => layer));
  const invalid = (field: string, message: string) =>
    new GraftError('invalid_peft_config', `${field}: ${message}`, { param: `peft.${field}` });

  const stray = config.leave_out.find((layer) => layer >= depth);
  if (stray !== undefined)
    throw invalid('leave_out', `there is no layer ${stray}; layers are 0 to ${depth - 1}`);
  const given = typeof config.reduction_factor === 'object' ? Object.keys(config.reduction_factor) : [];
  const unknown = given.find((layer) => layer !== 'default' && Number(layer) >= depth);
  if (unknown !== undefined)
    throw invalid('reduction_factor', `there is no layer ${unknown}; layers are 0 to ${depth - 1}`);
  if (config.cross_adapter && !residualSites.some(({ sublayer }) => sublayer === 'cross_attention'))
    throw invalid('cross_adapter', `${model.modelType} has no cross-attention`);
  if (placesOf(config, model).length === 0)
    throw invalid('leave_out', `no adapter is left: all ${layers} layers are left out`);
  if (config.residual_before_ln === 'post_add' && !residualSites.some(({ postNorm }) => postNorm))
    throw invalid(
      'residual_before_ln',
      `"post_add" needs a model that norms the sum of sublayer and residual; ${model.modelType} norms before its sublayers`,
    );
  // Where the library hooks projections, the residual and the norm are the model's own.
  if (!config.original_ln_after && model.adaptersInterface)
    throw invalid('original_ln_after', `must be true for ${model.modelType}, as in the adapters library`);
  checkSavedModules(config, model);
}

/** The library's files hold a head beside the adapters: modules of the base model itself cannot be told there. */
function checkSavedModules(config: BottleneckConfig, model: ModelOutline): void {
  for (const module of resolveModulesToSave(config, model.modules)) {
    const refuse = (reason: string) =>
      new GraftError('unimplemented_peft_option', `modules_to_save: "${module}" ${reason}`, {
        param: 'peft.modules_to_save',
      });
    if (module !== 'lm_head' && !model.taskHead.includes(module))
      throw refuse(
        "is a part of the base model; the adapters library's files hold adapters and the output layer only",
      );
    if (model.aliases[`${module}.weight`] !== undefined)
      throw refuse('is tied to the embeddings, and the adapters library keeps it so when it loads the files');
  }
}
