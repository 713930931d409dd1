import type { Wire } from '@graft/client';
import { useId } from 'preact/hooks';
import { FieldError } from '../../components/forms/field.tsx';
import { type Draft, faultAt, fileRows, isRecord, partAt, SUPERVISED, withValue } from './draft.ts';
import { type Form, OptionField, type PartProps } from './option-field.tsx';
import { listProperties, type Schema } from './schema.ts';
import { useTrainingFiles } from './use-training-files.ts';

/** Targets of the training: answers, or preferences, with the options of the method. */
export function TrainingMethodPart({ form, options, plan }: PartProps) {
  const { draft, setDraft, faults } = form;
  const { objectives, training_methods } = options;
  const files = useTrainingFiles();
  const group = useId();
  const id = fileRows(draft, 'training')[0]?.file;
  const hasOwnColumns = partAt(draft, 'training').columns !== undefined;
  // Other columns may make other examples of the file.
  const format = hasOwnColumns ? null : (files.data?.find((each) => each.id === id)?.format ?? null);
  const methods = methodsFor(objectives, format);
  const offered = training_methods.filter(({ type }) => methods.includes(type));
  const selected = methodOf(draft, objectives, format);
  const all = methodsFor(objectives, null);
  return (
    <>
      {format !== null && methods.length < all.length && (
        <p class="small soft">
          For files of the format {format}.
          {methods.every((method) => method === SUPERVISED) &&
            ' Other methods learn from pairs of answers, or from answers that were judged.'}
        </p>
      )}
      <fieldset class="new-job-methods">
        <legend class="visually-hidden">Training method</legend>
        {offered.map(({ type, title, when }) => (
          <label key={type}>
            <input
              type="radio"
              name={group}
              checked={type === selected}
              onChange={() => setDraft(withMethod(draft, type))}
            />
            <span>
              <strong>{title}</strong>
              <span class="small">{when}</span>
            </span>
          </label>
        ))}
      </fieldset>
      <FieldError text={faults.get('method') ?? faultAt(faults, 'method.type')} />
      {selected !== SUPERVISED && all.includes(selected) && (
        <PreferenceFields key={selected} form={form} options={options} plan={plan} method={selected} />
      )}
    </>
  );
}

function PreferenceFields({ form, options, plan, method }: PartProps & { method: string }) {
  const { draft, setDraft, faults } = form;
  const all = preferenceOptions(options.training_methods, method);
  const used = partAt(plan ?? {}, 'training.preference');
  // The plan may be of the method before.
  const isUsed = Object.keys(used).every((name) => all.some(([own]) => own === name));
  const part = 'training.preference';
  const current = partAt(draft, part);
  const known = (name: string) => (isUsed && name in used ? { used: used[name] } : {});
  const beta = all.find(([name]) => name === 'beta');
  const rest = all.filter((each) => each !== beta);
  const parameters = `method.${method}.hyperparameters`;
  // A beta among the options of preferences is left where it is.
  const betaForm: Form = {
    ...form,
    setDraft: (next) => setDraft(withBeta(next, method, partAt(next, parameters).beta)),
  };
  const title = options.training_methods.find(({ type }) => type === method)?.title;
  return (
    <>
      {beta && (
        <div class="new-job-fields">
          <OptionField
            form={current.beta === undefined ? betaForm : form}
            part={current.beta === undefined ? parameters : part}
            name="beta"
            label="Beta"
            schema={beta[1]}
            error={faultAt(faults, `${parameters}.beta`) ?? faultAt(faults, `${part}.beta`)}
            {...known('beta')}
          />
        </div>
      )}
      {rest.length > 0 && (
        <details class="new-job-more" open={rest.some(([name]) => name in current)}>
          <summary>More {title} options</summary>
          <div class="new-job-fields">
            {rest.map(([name, schema]) => (
              <OptionField key={name} form={form} part={part} name={name} schema={schema} {...known(name)} />
            ))}
          </div>
        </details>
      )}
    </>
  );
}

// The training method of a draft: `method.type`, and the options that only this method has.

type Objective = Wire.FineTuningObjective;
type TrainingMethod = Wire.FineTuningOptions['training_methods'][number];

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

/** The options of `training.preference` that a method has. */
export const preferenceOptions = (methods: readonly TrainingMethod[], type: string): [string, Schema][] =>
  listProperties(methods.find((method) => method.type === type)?.preference ?? {}).map(([name, schema]) => [
    name,
    { ...schema, description: sentence(schema.description ?? '') },
  ]);

const sentence = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);
