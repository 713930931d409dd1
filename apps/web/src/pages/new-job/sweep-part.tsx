import { Checkbox, CheckboxGroup, FieldError } from '../../components/forms/field.tsx';
import { isRecord, partAt, withValue } from './draft.ts';
import { type Form, OptionField, type PartProps } from './option-field.tsx';
import { listProperties } from './schema.ts';

export function SweepPart({ form, options, plan }: PartProps) {
  const { draft, setDraft, faults } = form;
  const isOn = isRecord(draft.sweep);
  const sweep = partAt(draft, 'sweep');
  const types = Array.isArray(sweep.peft_type) ? (sweep.peft_type as string[]) : [];
  // Only methods that learn from preferences have one.
  const hasBeta = 'beta' in sweep || plan?.training.preference !== undefined;
  const toggle = (on: boolean) =>
    setDraft(on ? { ...draft, sweep: {} } : withValue(draft, 'sweep', undefined));
  const setTypes = (next: string[]) =>
    setDraft({ ...draft, sweep: withValue(sweep, 'peft_type', next.length > 0 ? next : undefined) });
  // Keeps the sweep on when its last value is removed.
  const sweepForm: Form = {
    ...form,
    setDraft: (next) => setDraft({ ...next, sweep: isRecord(next.sweep) ? next.sweep : {} }),
  };
  return (
    <>
      <Checkbox label="Try several values, and publish the best" checked={isOn} onChecked={toggle} />
      {isOn && (
        <>
          <p class="soft small">{(options.sweep as { description?: string }).description}</p>
          <FieldError text={faults.get('sweep')} />
          <div class="new-job-fields">
            {listProperties(options.sweep)
              .filter(([name]) => name !== 'peft_type' && (name !== 'beta' || hasBeta))
              .map(([name, schema]) => (
                <OptionField key={name} form={sweepForm} part="sweep" name={name} schema={schema} />
              ))}
          </div>
          <CheckboxGroup
            class="row new-job-sweep"
            label="Methods"
            options={options.methods
              .filter(({ permitted }) => permitted)
              .map(({ peft_type, title }) => [peft_type, title] as const)}
            value={types}
            onValue={setTypes}
            error={faults.get('sweep.peft_type')}
          />
        </>
      )}
    </>
  );
}
