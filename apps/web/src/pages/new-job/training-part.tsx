import { partOf } from './draft.ts';
import { OptionField, type PartProps } from './option-field.tsx';
import { listProperties } from './schema.ts';

/** Options shown at first. The API lists the most used ones first. */
const shownCount = 6;

/** Training options. Empty fields show the value that Graft chooses. */
export function TrainingPart({ form, options, plan }: PartProps) {
  // The training method has those of preferences.
  const all = listProperties(options.training).filter(([name]) => name !== 'preference');
  const current = partOf(form.draft, 'training');
  const used = plan?.training as Record<string, unknown> | undefined;
  const renderField = ([name, schema]: (typeof all)[number]) => (
    <OptionField
      key={name}
      form={form}
      part="training"
      name={name}
      schema={schema}
      {...(used && { used: used[name] ?? null })}
      reason={plan?.training_reasons[name]}
    />
  );
  const rest = all.slice(shownCount);
  return (
    <>
      <div class="new-job-fields">{all.slice(0, shownCount).map(renderField)}</div>
      <details class="new-job-more" open={rest.some(([name]) => name in current)}>
        <summary>More training options</summary>
        <div class="new-job-fields">{rest.map(renderField)}</div>
      </details>
    </>
  );
}
