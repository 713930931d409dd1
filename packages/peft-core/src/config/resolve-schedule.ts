import type { Fault } from '../schema/check-fields.ts';
import type { ResolvedTraining, TrainingOptions } from './training-options.ts';

type Kwargs = NonNullable<ResolvedTraining['lr_scheduler_kwargs']>;
export type Schedule = Pick<ResolvedTraining, 'lr_scheduler_type' | 'lr_scheduler_kwargs'>;

/** The lr_scheduler_kwargs that each schedule accepts. */
const TAKES: Record<ResolvedTraining['lr_scheduler_type'], readonly (keyof Kwargs)[]> = {
  constant: [],
  linear: [],
  cosine: [],
  cosine_with_min_lr: ['min_lr', 'min_lr_rate', 'num_cycles'],
  warmup_stable_decay: [
    'num_decay_steps',
    'num_stable_steps',
    'min_lr_ratio',
    'warmup_type',
    'decay_type',
    'num_cycles',
  ],
};

/** Hägele et al. 2024, arXiv:2405.18392: decaying for 10 to 20 % of the steps matches a cosine over all steps. */
const DECAYING = 0.1;

/** The schedule of a job with `steps` steps (0: not known yet), and faults in the requested options. */
export function resolveSchedule(
  training: TrainingOptions,
  run: { learningRate: number; warmupSteps: number; steps: number },
): { schedule: Schedule; faults: Fault[] } {
  const { min_lr_rate: share, min_lr: least } = training;
  const faults: Fault[] = [];
  const conflict = (option: string, message: string) =>
    faults.push({ code: 'invalid_training_option', path: `training.${option}`, message });
  const { lr_scheduler_type: given = 'cosine' } = training;
  const asked = given === 'constant_with_warmup' ? 'constant' : given;
  const short = share !== undefined ? 'min_lr_rate' : least !== undefined ? 'min_lr' : null;
  const type = asked === 'cosine' && short ? 'cosine_with_min_lr' : asked;
  const kwargs: Kwargs = { ...training.lr_scheduler_kwargs };
  if (share !== undefined && least !== undefined) conflict('min_lr', 'and min_lr_rate exclude each other');
  if (short && TAKES[type].length === 0)
    conflict(short, `has no meaning with lr_scheduler_type "${type}", which has a fixed final rate`);
  else if (type === 'cosine_with_min_lr' && short) {
    if (kwargs.min_lr !== undefined || kwargs.min_lr_rate !== undefined)
      conflict(short, 'and lr_scheduler_kwargs both say where the rate ends');
    kwargs[short] = share ?? least!;
  } else if (short) {
    if (kwargs.min_lr_ratio !== undefined)
      conflict(short, 'and lr_scheduler_kwargs both say where the rate ends');
    kwargs.min_lr_ratio = share ?? Math.min(1, least! / run.learningRate);
  }
  const strange = (Object.keys(kwargs) as (keyof Kwargs)[]).find((key) => !TAKES[type].includes(key));
  if (strange)
    conflict(
      `lr_scheduler_kwargs.${strange}`,
      `is not an option of lr_scheduler_type "${type}"${TAKES[type].length > 0 ? `, which takes ${TAKES[type].join(', ')}` : ''}`,
    );
  const { min_lr: end, min_lr_rate: endShare } = kwargs;
  if (Math.max(end ?? 0, least ?? 0) > run.learningRate)
    conflict(
      short === 'min_lr' ? 'min_lr' : 'lr_scheduler_kwargs.min_lr',
      `is more than learning_rate, which is ${run.learningRate}`,
    );
  if (type === 'cosine_with_min_lr' && (end === undefined) === (endShare === undefined))
    conflict('lr_scheduler_kwargs', 'needs one of min_lr and min_lr_rate with cosine_with_min_lr');
  if (type === 'warmup_stable_decay') {
    kwargs.num_decay_steps ??= Math.max(1, Math.ceil(DECAYING * run.steps));
    const parts = run.warmupSteps + (kwargs.num_stable_steps ?? 0) + kwargs.num_decay_steps;
    if (run.steps > 0 && parts > run.steps)
      conflict(
        'lr_scheduler_kwargs',
        `makes a schedule of ${parts} steps, warmup included, and the job has ${run.steps}`,
      );
  }
  const isAny = Object.keys(kwargs).length > 0;
  return { schedule: { lr_scheduler_type: type, ...(isAny ? { lr_scheduler_kwargs: kwargs } : {}) }, faults };
}
