import type { FineTuningJob } from '@graft/client';

/** Display name of a job and its adapter: the suffix, else the last 8 characters of the id. */
export const jobName = ({ id, suffix }: Pick<FineTuningJob, 'id' | 'suffix'>): string =>
  suffix ?? id.slice(-8);

/** The PEFT method, as in adapter configs, after the training method unless that is supervised. */
export const methodName = ({ peft, method }: Pick<FineTuningJob, 'peft' | 'method'>): string => {
  const adapter = peft.peft_type.replaceAll('_', ' ');
  const training: string = method.type;
  return training === 'supervised' ? adapter : `${training.toUpperCase()} · ${adapter}`;
};
