import { FieldError } from '../../components/forms/field.tsx';
import { useTrainingFiles } from '../../data/use-training-files.ts';
import {
  faultAt,
  fileRows,
  methodOf,
  methodsFor,
  partAt,
  preferenceOptions,
  SUPERVISED,
  withBeta,
  withMethod,
} from './draft.ts';
import { type Form, MethodChoice, OptionField, OptionFields, type PartProps } from './option-field.tsx';

/** Targets of the training: answers, or preferences, with the options of the method. */
export function TrainingMethodPart({ form, options, plan }: PartProps) {
  const { draft, setDraft, faults } = form;
  const { objectives, training_methods } = options;
  const files = useTrainingFiles();
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
      <MethodChoice
        label="Training method"
        methods={offered.map(({ type, title, when }) => ({ name: type, title, when }))}
        selected={selected}
        onSelect={(type) => setDraft(withMethod(draft, type))}
      />
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
  const parameters = `method.${method}.hyperparameters`;
  // A beta among the options of preferences is left where it is.
  const betaForm: Form = {
    ...form,
    setDraft: (next) => setDraft(withBeta(next, method, partAt(next, parameters).beta)),
  };
  const { title = '' } = options.training_methods.find(({ type }) => type === method) ?? {};
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
      <OptionFields
        form={form}
        part={part}
        title={title}
        options={all.filter((each) => each !== beta)}
        isShown={() => false}
        field={([name, schema]) => (
          <OptionField key={name} form={form} part={part} name={name} schema={schema} {...known(name)} />
        )}
      />
    </>
  );
}
