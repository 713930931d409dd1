import type { Wire } from '@graft/client';
import { Disclosure } from '../../components/disclosure.tsx';
import { Button } from '../../components/forms/button.tsx';
import { FieldError, TextField } from '../../components/forms/field.tsx';
import { count } from '../../text/numbers.ts';
import { faultAt, partAt, valueAt, withValue } from './draft.ts';
import { type Form, MethodChoice, OptionField, OptionFields, type PartProps } from './option-field.tsx';
import { formatValue, listProperties, parseValue, type Schema } from './schema.ts';

/** The list of methods with a recommendation for each, and the options of the selected one, the most common first. */
export function MethodPart({ form: baseForm, options, plan }: PartProps) {
  const { methods, model, default_peft } = options;
  // The fields show the default configuration. A change of one option adds the whole configuration to the draft.
  const draft = { peft: default_peft, ...baseForm.draft };
  const form: Form = { ...baseForm, draft };
  if (model?.peft) {
    return (
      <p>
        Training continues from <code>{model.start_from}</code> with the adapter’s configuration (
        <strong>{String(model.peft.peft_type)}</strong>), which cannot be changed.
      </p>
    );
  }
  const peft = partAt(draft, 'peft');
  const selected = String(peft.peft_type ?? default_peft.peft_type);
  const method = methods.find(({ peft_type }) => peft_type === selected);
  const select = (name: string) => {
    const { peft_type, usual, usual_needs_model } = methods.find((each) => each.peft_type === name)!;
    const task = peft.task_type === undefined ? {} : { task_type: peft.task_type };
    form.setDraft(withValue(draft, 'peft', { peft_type, ...task, ...(usual_needs_model ? {} : usual) }));
  };
  return (
    <>
      {method && (
        <p>
          <strong>{method.title}</strong> <span class="small soft">{method.when}</span>
        </p>
      )}
      <Disclosure summary="All methods" needed={method?.permitted !== true}>
        <MethodChoice
          label="Method"
          methods={methods.map(({ peft_type, ...each }) => ({ name: peft_type, ...each }))}
          selected={selected}
          onSelect={select}
        />
      </Disclosure>
      <FieldError text={faultAt(form.faults, 'peft.peft_type')} />
      {method && <MethodOptions key={selected} form={form} method={method} options={options} plan={plan} />}
    </>
  );
}

function MethodOptions({
  form,
  method,
  options: { model },
  plan,
}: PartProps & { method: Wire.FineTuningMethod }) {
  const used = plan?.peft as Record<string, unknown> | undefined;
  return (
    <>
      <OptionFields
        form={form}
        part="peft"
        title={method.title}
        options={listProperties(method.options).filter(([name]) => name !== 'peft_type')}
        isShown={(name) => ['task_type', 'target_modules'].includes(name) || name in method.usual}
        field={([name, schema]) =>
          method.module_options.includes(name) ? (
            <ModuleField key={name} form={form} name={name} schema={schema} modules={model?.modules ?? []} />
          ) : (
            <OptionField
              key={name}
              form={form}
              part="peft"
              name={name}
              schema={schema}
              {...(used && used.peft_type === method.peft_type && { used: used[name] ?? null })}
              reason={plan?.training_reasons[name]}
            />
          )
        }
      />
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
  const value = valueAt(draft, path);
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
