import type { FineTuningJob } from '@graft/client';

/** What people call a job: its suffix, else the end of its id, as its adapter is called. */
export const jobName = ({ id, suffix }: Pick<FineTuningJob, 'id' | 'suffix'>): string =>
  suffix ?? id.slice(-8);

/** The method, as configurations name it. */
export const methodName = ({ peft }: Pick<FineTuningJob, 'peft'>): string =>
  peft.peft_type.replaceAll('_', ' ');
