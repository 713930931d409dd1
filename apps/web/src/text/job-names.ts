import type { FineTuningJob } from '@graft/client';

/** Display name of a job and its adapter: the suffix, else the last 8 characters of the id. */
export const jobName = ({ id, suffix }: Pick<FineTuningJob, 'id' | 'suffix'>): string =>
  suffix ?? id.slice(-8);

/** PEFT method, as in adapter configs. */
export const methodName = ({ peft }: Pick<FineTuningJob, 'peft'>): string =>
  peft.peft_type.replaceAll('_', ' ');
