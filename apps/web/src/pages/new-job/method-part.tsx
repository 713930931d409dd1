import type { Wire } from '@graft/client';
import { useId } from 'preact/hooks';
import { faultAt, partOf, withValue } from './draft.ts';
import { ModuleField } from './module-field.tsx';
import { type Form, OptionField } from './option-field.tsx';
import { propertiesOf } from './schema.ts';

type Method = Wire.FineTuningMethod;

/** Which method, with when to choose it, and its options: those of a usual configuration first. */
export function MethodPart({
  form: given,
  options,
  plan,
}: {
  form: Form;
  options: Wire.FineTuningOptions;
  plan: Wire.FineTuningPlan | null;
}) {
  const { methods, model, default_peft } = options;
  // What is trained where nothing is said stands in the fields; what is changed of it is then said whole.
  const draft = { peft: default_peft, ...given.draft };
  const form: Form = { ...given, draft };
  const { setDraft, faults } = form;
  const group = useId();
  if (model?.peft) {
    return (
      <p>
        Training goes on from <code>{model.start_from}</code> with its own configuration:{' '}
        <strong>{String(model.peft.peft_type)}</strong>, which cannot be changed.
      </p>
    );
  }
  const peft = partOf(draft, 'peft');
  const chosen = String(peft.peft_type ?? default_peft.peft_type);
  const method = methods.find(({ peft_type }) => peft_type === chosen);
  const choose = ({ peft_type, usual, usual_needs_model }: Method) => {
    const task = peft.task_type === undefined ? {} : { task_type: peft.task_type };
    setDraft(withValue(draft, 'peft', { peft_type, ...task, ...(usual_needs_model ? {} : usual) }));
  };
  const fault = faultAt(faults, 'peft.peft_type');
  return (
    <>
      <fieldset class="new-job-methods">
        <legend class="visually-hidden">Method</legend>
        {methods.map((each) => (
          <label key={each.peft_type} data-off={!each.permitted}>
            <input
              type="radio"
              name={group}
              checked={each.peft_type === chosen}
              disabled={!each.permitted}
              onChange={() => choose(each)}
            />
            <span>
              <strong>{each.title}</strong>
              <span class="small">{each.permitted ? each.when : 'Your team may not train it.'}</span>
            </span>
          </label>
        ))}
      </fieldset>
      {fault && (
        <p class="field-error" role="alert">
          {fault}
        </p>
      )}
      {method && <MethodOptions key={chosen} form={form} method={method} model={model} plan={plan} />}
    </>
  );
}

function MethodOptions({
  form,
  method,
  model,
  plan,
}: {
  form: Form;
  method: Method;
  model: Wire.FineTuningOptions['model'];
  plan: Wire.FineTuningPlan | null;
}) {
  const given = partOf(form.draft, 'peft');
  const all = propertiesOf(method.options).filter(([name]) => name !== 'peft_type');
  const isFirst = (name: string) => name === 'task_type' || name in method.usual || name === 'target_modules';
  const taken = plan?.peft as Record<string, unknown> | undefined;
  const fieldOf = ([name, schema]: (typeof all)[number]) => {
    if (method.module_options.includes(name))
      return (
        <ModuleField key={name} form={form} name={name} schema={schema} modules={model?.modules ?? []} />
      );
    return (
      <OptionField
        key={name}
        form={form}
        part="peft"
        name={name}
        schema={schema}
        {...(taken && taken.peft_type === method.peft_type && { taken: taken[name] ?? null })}
        reason={plan?.training_reasons[name]}
      />
    );
  };
  const rest = all.filter(([name]) => !isFirst(name));
  const isOpen = rest.some(([name]) => name in given);
  return (
    <>
      <div class="new-job-fields">{all.filter(([name]) => isFirst(name)).map(fieldOf)}</div>
      {rest.length > 0 && (
        <details class="new-job-more" open={isOpen}>
          <summary>More options of {method.title}</summary>
          <div class="new-job-fields">{rest.map(fieldOf)}</div>
        </details>
      )}
      <p class="small soft">
        <a href={method.paper} target="_blank" rel="noreferrer">
          What {method.title} is
        </a>
      </p>
    </>
  );
}
