import type { Wire } from '@graft/client';
import { Button } from '../../components/forms/button.tsx';
import { TextField } from '../../components/forms/field.tsx';
import { count } from '../../text/numbers.ts';
import { faultAt, partOf, withValue } from './draft.ts';
import type { Form } from './option-field.tsx';
import { formatValue, parseValue, type Schema } from './schema.ts';

type Module = Wire.TrainableModel['modules'][number];

/** An option that names modules, as text or selected from the model's modules. */
export function ModuleField({
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
