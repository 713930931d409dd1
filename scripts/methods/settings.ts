import { methods, type Trial } from '@graft/peft-core/config';

/** A method's trial as a job: the options of its config with their `peft_type`. */
export interface MethodSetting extends Pick<Trial, 'epochs'> {
  peft: { peft_type: string } & Record<string, unknown>;
}

const named = Object.entries(methods).map(([type, { trials }]) => ({ type, name: methodName(type), trials }));

/** Name of a method in `npm run demo -- --peft-type`. */
export function methodName(peftType: string): string {
  return peftType.toLowerCase();
}

/** How each method is set up for the bike-shop task on SmolLM2-135M, and the held-out points that the demo asks of it over the untrained model. */
export const methodSettings: Record<string, MethodSetting & { margin: number }> = Object.fromEntries(
  named.map(({ type, name, trials: { languageModel } }) => {
    const { options, ...rest } = languageModel;
    return [name, { peft: { peft_type: type, ...options }, ...rest }];
  }),
);

/** The same task for MiniLM, as a classifier of ten classes: the methods that docs/methods.md measures. */
export const classifierSettings: Record<string, MethodSetting> = Object.fromEntries(
  named.flatMap(({ type, name, trials: { classifier } }) => {
    if (!classifier) return [];
    const { options, ...rest } = classifier;
    return [[name, { peft: { peft_type: type, task_type: 'SEQ_CLS', ...options }, ...rest }]];
  }),
);
