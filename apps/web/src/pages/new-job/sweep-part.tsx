import type { Wire } from '@graft/client';
import { Checkbox } from '../../components/forms/field.tsx';
import { isRecord, partOf, withValue } from './draft.ts';
import { type Form, OptionField } from './option-field.tsx';
import { listProperties } from './schema.ts';

/** Options for a sweep: a job that tries several values. */
export function SweepPart({ form, options }: { form: Form; options: Wire.FineTuningOptions }) {
  const { draft, setDraft, faults } = form;
  const isOn = isRecord(draft.sweep);
  const sweep = partOf(draft, 'sweep');
  const types = Array.isArray(sweep.peft_type) ? (sweep.peft_type as string[]) : [];
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
          {faults.has('sweep') && (
            <p class="field-error" role="alert">
              {faults.get('sweep')}
            </p>
          )}
          <div class="new-job-fields">
            {listProperties(options.sweep)
              .filter(([name]) => name !== 'peft_type')
              .map(([name, schema]) => (
                <OptionField key={name} form={sweepForm} part="sweep" name={name} schema={schema} />
              ))}
          </div>
          <fieldset class="new-job-sweep">
            <legend>Methods</legend>
            {options.methods
              .filter(({ permitted }) => permitted)
              .map(({ peft_type, title }) => (
                <Checkbox
                  key={peft_type}
                  label={title}
                  checked={types.includes(peft_type)}
                  onChecked={(on) =>
                    setTypes(on ? [...types, peft_type] : types.filter((each) => each !== peft_type))
                  }
                />
              ))}
          </fieldset>
          {faults.has('sweep.peft_type') && (
            <p class="field-error" role="alert">
              {faults.get('sweep.peft_type')}
            </p>
          )}
        </>
      )}
    </>
  );
}
