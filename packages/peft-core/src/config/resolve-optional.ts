import { isClassifier } from '../outlines/outline.ts';
import type { Fault } from '../schema/check-fields.ts';
import { methodOf, type PeftConfig } from '../tuners/methods.ts';
import type { ResolvedTraining, TrainingOptions } from './training-options.ts';

type Optional = Pick<
  ResolvedTraining,
  | ('loraplus_lr_ratio' | 'loraplus_lr_embedding')
  | ('label_smoothing_factor' | 'class_weights' | 'neftune_noise_alpha' | 'ema_decay')
>;

/** PEFT, create_loraplus_optimizer. */
const EMBEDDING_RATE = 1e-6;

/** The options that are absent where they are off, and what is wrong with those that are not. */
export function resolveOptional(
  training: TrainingOptions,
  peft: PeftConfig,
): { options: Optional; faults: Fault[] } {
  const options: Optional = {};
  const faults: Fault[] = [];
  const conflict = (option: keyof Optional, message: string) =>
    faults.push({ code: 'invalid_training_option', path: `training.${option}`, message });
  const method = methodOf(peft);

  const { loraplus_lr_ratio: ratio, loraplus_lr_embedding: rate } = training;
  if (ratio !== undefined) {
    if (!method.hasRateGroups)
      conflict('loraplus_lr_ratio', `is of updates with two factors, which ${method.title} has not`);
    options.loraplus_lr_ratio = ratio;
    options.loraplus_lr_embedding = rate ?? EMBEDDING_RATE;
  } else if (rate !== undefined) conflict('loraplus_lr_embedding', 'needs loraplus_lr_ratio');

  const { label_smoothing_factor: smoothing = 0, class_weights: weights } = training;
  const { task_type: task } = peft;
  if (smoothing > 0) {
    if (task === 'FEATURE_EXTRACTION')
      conflict('label_smoothing_factor', 'is of tokens and classes, and FEATURE_EXTRACTION has neither');
    options.label_smoothing_factor = smoothing;
  }
  if (weights !== undefined) {
    if (!isClassifier(task)) conflict('class_weights', `is of classifiers, and ${task} has no classes`);
    options.class_weights = weights;
  }
  if ((training.neftune_noise_alpha ?? 0) > 0) options.neftune_noise_alpha = training.neftune_noise_alpha!;
  if (training.ema_decay !== undefined) options.ema_decay = training.ema_decay;
  return { options, faults };
}
