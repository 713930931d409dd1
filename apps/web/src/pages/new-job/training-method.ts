/** The training method of a draft: what `method.type` is, and the options that only this method has. */
import type { Wire } from '@graft/client';
import { type Draft, isRecord, partAt, SUPERVISED, withValue } from './draft.ts';
import { listProperties, type Schema } from './schema.ts';

type Objective = Wire.FineTuningObjective;

const texts: Record<string, { title: string; when: string }> = {
  supervised: {
    title: 'Supervised',
    when: 'Learns the answers, labels or texts of your file. Start here, unless your file compares answers.',
  },
  dpo: {
    title: 'DPO',
    when: 'Prefers chosen to rejected answers, but stays close to the model before training. The usual choice for pairs.',
  },
  orpo: {
    title: 'ORPO',
    when: 'Learns chosen answers and prefers them at once: for a model that has not learned the task before.',
  },
  simpo: {
    title: 'SimPO',
    when: 'Compares answers by their mean log-probability per token: for pairs whose chosen answers are longer, and to save the time of a reference.',
  },
  kto: {
    title: 'KTO',
    when: 'Learns from answers that were judged one by one, such as thumbs up and down. Reads pairs, too.',
  },
};

/** Title of a method, and when to choose it. */
export const methodText = (method: string): { title: string; when: string } =>
  texts[method] ?? { title: method, when: '' };

/** The methods for files of a format; null: all methods. */
export const methodsFor = (objectives: readonly Objective[], format: string | null): string[] => [
  ...new Set(
    objectives
      .filter(({ formats }) => format === null || formats.includes(format))
      .map(({ method }) => method),
  ),
];

/** The method of the draft, or the one that is used without: the first for the format. */
export function methodOf(draft: Draft, objectives: readonly Objective[], format: string | null): string {
  const { type } = partAt(draft, 'method');
  return typeof type === 'string' ? type : (methodsFor(objectives, format)[0] ?? SUPERVISED);
}

/** The draft with a method. Hyperparameters of all methods are kept; options of preferences mean something else for another method. */
export function withMethod(draft: Draft, type: string): Draft {
  const { type: before } = partAt(draft, 'method');
  const old = partAt(draft, `method.${before}.hyperparameters`);
  const { beta: _, ...kept } = old;
  const own = Object.keys(kept).length > 0 ? { [type]: { hyperparameters: kept } } : {};
  return withValue({ ...draft, method: { type, ...own } }, 'training.preference', undefined);
}

/** The draft with a beta of its method, which it then names. */
export function withBeta(draft: Draft, method: string, beta: unknown): Draft {
  const named = isRecord(draft.method) ? draft : { ...draft, method: { type: method } };
  return withValue(named, `method.${method}.hyperparameters.beta`, beta);
}

/** Such as "dpo:" or "dpo with loss_type robust:", before what an option means for a method. */
const beginning = (methods: readonly string[]) =>
  new RegExp(`(?:^|\\s)(${methods.join('|')})( with [^:]+)?: `, 'g');

/** The options of `training.preference` that a method has. Their descriptions say which methods have them, or none if all do. */
export function preferenceOptions(
  training: unknown,
  method: string,
  methods: readonly string[],
): [string, Schema][] {
  const preference = listProperties(training).find(([name]) => name === 'preference')?.[1];
  return listProperties(preference ?? {}).flatMap(([name, schema]): [string, Schema][] => {
    const { description = '' } = schema;
    const found = [...description.matchAll(beginning(methods))];
    if (found.length === 0) return [[name, { ...schema, description: sentence(description) }]];
    const own = found.findIndex(([, each]) => each === method);
    if (own === -1) return [];
    const { index, 0: whole, 2: condition = '' } = found[own]!;
    const meaning = description.slice(index + whole.length, found[own + 1]?.index);
    return [
      [
        name,
        { ...schema, description: sentence(`${condition.trim() && `${condition.trim()}: `}${meaning}`) },
      ],
    ];
  });
}

const sentence = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);
