import type { Wire } from '@graft/client';
import { partOf } from './draft.ts';
import { type Form, OptionField } from './option-field.tsx';
import { propertiesOf } from './schema.ts';

/** The API lists the most used ones first. */
const first = 6;

/** How it is trained: what is left empty is chosen, and shown once it is known. */
export function TrainingPart({
  form,
  options,
  plan,
}: {
  form: Form;
  options: Wire.FineTuningOptions;
  plan: Wire.FineTuningPlan | null;
}) {
  const all = propertiesOf(options.training);
  const given = partOf(form.draft, 'training');
  const taken = plan?.training as Record<string, unknown> | undefined;
  const fieldOf = ([name, schema]: (typeof all)[number]) => (
    <OptionField
      key={name}
      form={form}
      part="training"
      name={name}
      schema={schema}
      {...(taken && { taken: taken[name] ?? null })}
      reason={plan?.training_reasons[name]}
    />
  );
  const rest = all.slice(first);
  return (
    <>
      <div class="new-job-fields">{all.slice(0, first).map(fieldOf)}</div>
      <details class="new-job-more" open={rest.some(([name]) => name in given)}>
        <summary>More options of training</summary>
        <div class="new-job-fields">{rest.map(fieldOf)}</div>
      </details>
    </>
  );
}
