import { preferenceMethods } from '../lists.ts';
import { type ListedObjective, listedObjectives, type objectiveOptions } from '../objectives/objectives.ts';
import type { Fault } from '../schema/check-fields.ts';
import { methodOf, type PeftConfig } from '../tuners/methods.ts';
import type { ResolvedTraining, TrainingOptions } from './training-options.ts';

type Optional = Pick<
  ResolvedTraining,
  | ('loraplus_lr_ratio' | 'loraplus_lr_embedding')
  | 'mix_strategy'
  | ('label_smoothing_factor' | 'neftune_noise_alpha' | 'ema_decay')
  | keyof typeof objectiveOptions
>;

/** Default of PEFT's create_loraplus_optimizer. */
const EMBEDDING_RATE = 1e-6;

/** Resolves the options that are absent where they are off, and returns faults in those that are given. */
export function resolveOptional(
  training: TrainingOptions,
  peft: PeftConfig,
  objective: ListedObjective,
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

  const { label_smoothing_factor: smoothing = 0 } = training;
  const { task_type: task } = peft;
  if (smoothing > 0) {
    const { refuses = {} } = objective;
    if (refuses.label_smoothing_factor) conflict('label_smoothing_factor', refuses.label_smoothing_factor);
    options.label_smoothing_factor = smoothing;
  }
  for (const { tasks, options: own, whyNotOptions } of listedObjectives)
    for (const option of Object.keys(own) as (keyof typeof objectiveOptions)[]) {
      const value = training[option];
      if (value === undefined) continue;
      if (!tasks.includes(task)) conflict(option, whyNotOptions?.(task) ?? `has no meaning for ${task}`);
      Object.assign(options, { [option]: value });
    }
  const { preference, faults: ofPreference } = resolvePreference(training.preference, objective);
  if (preference) options.preference = preference;
  faults.push(...ofPreference);
  if ((training.neftune_noise_alpha ?? 0) > 0) options.neftune_noise_alpha = training.neftune_noise_alpha!;
  const { mix_strategy: strategy = 'concat' } = training;
  if (strategy !== 'concat') options.mix_strategy = strategy;
  if (training.ema_decay !== undefined) options.ema_decay = training.ema_decay;
  return { options, faults };
}

/** `training.preference` with every option of the objective that has a default; null if it learns from no preferences. */
function resolvePreference(
  given: TrainingOptions['preference'],
  { method, preference }: ListedObjective,
): { preference: Record<string, unknown> | null; faults: Fault[] } {
  const fault = (option: string, message: string): Fault => ({
    code: 'invalid_training_option',
    path: `training.preference${option}`,
    message,
  });
  if (!preference) {
    const message = `is of the methods ${preferenceMethods.join(', ')}, and the job's method is ${method}; set method.type, or leave it out`;
    return { preference: null, faults: given === undefined ? [] : [fault('', message)] };
  }
  const { properties, defaults } = preference;
  const known = Object.keys(properties);
  const faults = Object.keys(given ?? {})
    .filter((option) => !known.includes(option))
    .map((option) =>
      fault(
        `.${option}`,
        `is no option of the method ${method}, which has ${known.join(', ')}; leave it out`,
      ),
    );
  const chosen = Object.entries(given ?? {}).filter(([, value]) => value !== 'auto');
  const resolved = { ...defaults, ...Object.fromEntries(chosen) };
  for (const [option, message] of preference.faults?.(resolved) ?? [])
    faults.push(fault(`.${option}`, message));
  return { preference: resolved, faults };
}
