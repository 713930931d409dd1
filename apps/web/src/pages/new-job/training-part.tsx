import { OptionField, OptionFields, type PartProps } from './option-field.tsx';
import { listProperties } from './schema.ts';

/** Options shown at first. The API lists the most used ones first. */
const shownCount = 6;

/** Options of `training` that other parts of the form have. */
const elsewhere = ['preference', 'validation_split', 'validation_seed'];

/** Training options. Empty fields show the value that Graft chooses. */
export function TrainingPart({ form, options, plan }: PartProps) {
  const all = listProperties(options.training).filter(([name]) => !elsewhere.includes(name));
  const first = all.slice(0, shownCount).map(([name]) => name);
  const used = plan?.training as Record<string, unknown> | undefined;
  return (
    <OptionFields
      form={form}
      part="training"
      title="training"
      options={all}
      isShown={(name) => first.includes(name)}
      field={([name, schema]) => (
        <OptionField
          key={name}
          form={form}
          part="training"
          name={name}
          schema={schema}
          {...(used && { used: used[name] ?? null })}
          reason={plan?.training_reasons[name]}
        />
      )}
    />
  );
}
