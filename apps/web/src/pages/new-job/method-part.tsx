import type { Wire } from '@graft/client';
import { useId } from 'preact/hooks';
import { Button } from '../../components/forms/button.tsx';
import { FieldError, TextField } from '../../components/forms/field.tsx';
import { count } from '../../text/numbers.ts';
import { faultAt, partOf, withValue } from './draft.ts';
import { type Form, OptionField, type PartProps } from './option-field.tsx';
import { formatValue, listProperties, parseValue, type Schema } from './schema.ts';

type Method = Wire.FineTuningMethod;

/** The list of methods with a recommendation for each, and the options of the selected one, the most common first. */
export function MethodPart({ form: baseForm, options, plan }: PartProps) {
  const { methods, model, default_peft } = options;
  // The fields show the default configuration. A change of one option adds the whole configuration to the draft.
  const draft = { peft: default_peft, ...baseForm.draft };
  const form: Form = { ...baseForm, draft };
  const { setDraft, faults } = form;
  const group = useId();
  if (model?.peft) {
    return (
      <p>
        Training continues from <code>{model.start_from}</code> with the adapter’s configuration (
        <strong>{String(model.peft.peft_type)}</strong>), which cannot be changed.
      </p>
    );
  }
  const peft = partOf(draft, 'peft');
  const selected = String(peft.peft_type ?? default_peft.peft_type);
  const method = methods.find(({ peft_type }) => peft_type === selected);
  const select = ({ peft_type, usual, usual_needs_model }: Method) => {
    const task = peft.task_type === undefined ? {} : { task_type: peft.task_type };
    setDraft(withValue(draft, 'peft', { peft_type, ...task, ...(usual_needs_model ? {} : usual) }));
  };
  return (
    <>
      <fieldset class="new-job-methods">
        <legend class="visually-hidden">Method</legend>
        {methods.map((each) => (
          <label key={each.peft_type} data-off={!each.permitted}>
            <input
              type="radio"
              name={group}
              checked={each.peft_type === selected}
              disabled={!each.permitted}
              onChange={() => select(each)}
            />
            <span>
              <strong>{each.title}</strong>
              <span class="small">{each.permitted ? each.when : 'Not available to your team.'}</span>
            </span>
          </label>
        ))}
      </fieldset>
      <FieldError text={faultAt(faults, 'peft.peft_type')} />
      {method && <MethodOptions key={selected} form={form} method={method} options={options} plan={plan} />}
    </>
  );
}

function MethodOptions({ form, method, options: { model }, plan }: PartProps & { method: Method }) {
  const current = partOf(form.draft, 'peft');
  const all = listProperties(method.options).filter(([name]) => name !== 'peft_type');
  const isCommon = (name: string) =>
    name === 'task_type' || name in method.usual || name === 'target_modules';
  const used = plan?.peft as Record<string, unknown> | undefined;
  const renderField = ([name, schema]: (typeof all)[number]) => {
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
        {...(used && used.peft_type === method.peft_type && { used: used[name] ?? null })}
        reason={plan?.training_reasons[name]}
      />
    );
  };
  const rest = all.filter(([name]) => !isCommon(name));
  const isOpen = rest.some(([name]) => name in current);
  return (
    <>
      <div class="new-job-fields">{all.filter(([name]) => isCommon(name)).map(renderField)}</div>
      {rest.length > 0 && (
        <details class="new-job-more" open={isOpen}>
          <summary>More {method.title} options</summary>
          <div class="new-job-fields">{rest.map(renderField)}</div>
        </details>
      )}
      <p class="small soft">
        <a href={method.paper} target="_blank" rel="noreferrer">
          About {method.title}
        </a>
      </p>
    </>
  );
}

type Module = Wire.TrainableModel['modules'][number];

/** An option that names modules, as text or selected from the model's modules. */
function ModuleField({
  form: { draft, setDraft, faults },
  name,
  schema,
  modules,
}: {
  form: Form;
  name: string;
  schema: Schema;
  modules: readonly Module[];
}) {
  const path = `peft.${name}`;
  const value = partOf(draft, 'peft')[name];
  const named = Array.isArray(value) ? (value as unknown[]) : [];
  const set = (next: unknown) => setDraft(withValue(draft, path, next));
  const toggle = (module: string) => {
    const next = named.includes(module) ? named.filter((each) => each !== module) : [...named, module];
    set(next.length > 0 ? next : undefined);
  };
  const linear = modules.filter((module) => module.all_linear);
  return (
    <div class="new-job-modules tight">
      <TextField
        label={name}
        hint={schema.description}
        error={faultAt(faults, path)}
        spellcheck={false}
        autocomplete="off"
        placeholder="Default"
        value={formatValue(value)}
        onValue={(text) => {
          const parsed = parseValue(text, schema);
          // One module name becomes a list; other text is a regular expression.
          const isName = typeof parsed === 'string' && modules.some((module) => module.name === parsed);
          set(/,\s*$/.test(text) ? text : isName ? [parsed] : parsed);
        }}
      />
      {modules.length > 0 && (
        <details>
          <summary class="small">Select from the model’s modules</summary>
          <fieldset class="row">
            <legend class="visually-hidden">Modules for {name}</legend>
            {name === 'target_modules' && linear.length > 0 && (
              <Button
                small
                aria-pressed={value === 'all-linear'}
                title={linear.map((each) => each.name).join(', ')}
                onClick={() => set(value === 'all-linear' ? undefined : 'all-linear')}
              >
                all-linear
              </Button>
            )}
            {modules.map((module) => (
              <Button
                key={module.name}
                small
                aria-pressed={named.includes(module.name)}
                title={describeModule(module)}
                onClick={() => toggle(module.name)}
              >
                {module.name} <span class="soft">{module.kind}</span>
              </Button>
            ))}
          </fieldset>
        </details>
      )}
    </div>
  );
}

const describeModule = ({ kind, count: many, in: width, out }: Module) =>
  [`${count(many)} × ${kind}`, width !== null && (out === null ? `${width} wide` : `${width} → ${out}`)]
    .filter(Boolean)
    .join(', ');
