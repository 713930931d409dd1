import type { Wire } from '@graft/client';
import { Button } from '../../components/forms/button.tsx';
import { TextField } from '../../components/forms/field.tsx';
import { count } from '../../text/numbers.ts';
import { faultAt, partOf, withValue } from './draft.ts';
import type { Form } from './option-field.tsx';
import { readText, type Schema, textOf } from './schema.ts';

type Module = Wire.TrainableModel['modules'][number];

/** An option that names modules: written, or picked from those of the model. */
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
  const set = (after: unknown) => setDraft(withValue(draft, path, after));
  const toggle = (module: string) => {
    const after = named.includes(module) ? named.filter((each) => each !== module) : [...named, module];
    set(after.length > 0 ? after : undefined);
  };
  const linear = modules.filter((module) => module.all_linear);
  return (
    <div class="new-job-modules">
      <TextField
        label={name}
        hint={schema.description}
        error={faultAt(faults, path)}
        spellcheck={false}
        autocomplete="off"
        placeholder="as it is left"
        value={textOf(value)}
        onValue={(text) => {
          const said = readText(text, schema);
          // One name of a module is a list of it; all else that is text is an expression.
          const isName = typeof said === 'string' && modules.some((module) => module.name === said);
          set(/,\s*$/.test(text) ? text : isName ? [said] : said);
        }}
      />
      {modules.length > 0 && (
        <details>
          <summary class="small">Pick from the modules of the model</summary>
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
                title={about(module)}
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

const about = ({ kind, count: many, in: width, out }: Module) =>
  [`${count(many)} of kind ${kind}`, width !== null && (out === null ? `${width} wide` : `${width} → ${out}`)]
    .filter(Boolean)
    .join(', ');
