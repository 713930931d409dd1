/** The options and targets of the methods that HF PEFT derives from LyCORIS: a ranked, scaled update of each weight. Loads no TensorFlow. */

import { Type } from 'typebox';
import type { ModelOutline } from '../../outlines/outline.ts';
import { configFault, type Fault } from '../../schema/check-fields.ts';
import { fromPattern } from '../../schema/module-pattern.ts';
import {
  alphaPattern,
  dropoutProbability,
  excludeModules,
  layersPattern,
  layersToTransform,
  modulesToSave,
  rankPattern,
  targetModules,
  taskType,
  updateRank,
} from '../../schema/schema-parts.ts';
import { type MatrixOptions, type MatrixTarget, matrixTargets } from './targets.ts';

/** Source: peft 0.21.2, tuners/lycoris_utils.py. */
export const updateOptions = {
  task_type: taskType,
  r: updateRank(8),
  alpha: Type.Number({ exclusiveMinimum: 0, default: 8, description: 'The update is scaled by alpha / r.' }),
  rank_dropout: dropoutProbability('Probability that an output of the update is dropped during training.'),
  module_dropout: dropoutProbability(
    'Probability that the whole update of a layer is dropped in a step of training.',
  ),
  target_modules: targetModules,
  exclude_modules: excludeModules,
  layers_to_transform: layersToTransform,
  layers_pattern: layersPattern,
  rank_pattern: rankPattern,
  alpha_pattern: alphaPattern,
  modules_to_save: modulesToSave,
};

/** The options that determine an update's rank, scale and dropout. */
export interface UpdateOptions extends MatrixOptions {
  r: number;
  alpha: number;
  rank_dropout: number;
  module_dropout: number;
  rank_pattern: Record<string, number>;
  alpha_pattern: Record<string, number>;
}

export interface UpdateTarget extends MatrixTarget {
  rank: number;
  /** alpha / rank. */
  scale: number;
}

/** The modules that `config` adapts. Throws what `matrixTargets` throws. */
export function updateTargets(config: UpdateOptions, model: ModelOutline, method: string): UpdateTarget[] {
  const targets = matrixTargets(config, model, { method });
  return targets.map((target) => {
    const rank = fromPattern(config.rank_pattern, target.name) ?? config.r;
    const alpha = fromPattern(config.alpha_pattern, target.name) ?? config.alpha;
    return { ...target, rank, scale: alpha / rank };
  });
}

/** `rank_dropout_scale` has an effect only with rank_dropout. */
export function idleScale(given: Record<string, unknown>): Fault[] {
  const dropped = typeof given.rank_dropout === 'number' && given.rank_dropout > 0;
  if (given.rank_dropout_scale !== true || dropped) return [];
  return [configFault('rank_dropout_scale', 'has an effect only with rank_dropout')];
}
