import { useEffect, useId, useState } from 'preact/hooks';
import { TextField } from '../../components/forms/field.tsx';
import { useModels } from '../../data/models.ts';

/** Of a team with thousands of models; typing brings up the others. */
const mostShown = 200;

/**
 * A model by its name: one of the list, a tag's, or a checkpoint's. Its value is told when it is one of the list, or when the field
 * is left, so that no half a name is asked for.
 */
export function ModelField({
  label,
  value,
  onValue,
  tuned = false,
  hint,
}: {
  label: string;
  value: string;
  onValue: (value: string) => void;
  /** Of the list only fine-tuned ones. */
  tuned?: boolean;
  hint?: string;
}) {
  const [text, setText] = useState(value);
  const { data = [] } = useModels();
  const models = data.filter(({ base_model }) => !tuned || base_model !== null);
  const fitting = models.filter(({ id }) => id.includes(text.trim())).slice(0, mostShown);
  const list = useId();
  useEffect(() => setText(value), [value]);
  const tell = (after: string) => after.trim() !== value && onValue(after.trim());
  return (
    <div>
      <TextField
        label={label}
        {...(hint && { hint })}
        list={list}
        placeholder={tuned ? 'ft:…' : 'A base model, or ft:…'}
        spellcheck={false}
        autocomplete="off"
        maxLength={512}
        value={text}
        onValue={(after) => {
          setText(after);
          if (models.some(({ id }) => id === after)) tell(after);
        }}
        onFocus={({ currentTarget }) => currentTarget.select()}
        onBlur={() => tell(text)}
        onKeyDown={({ key }) => key === 'Enter' && tell(text)}
      />
      <datalist id={list}>
        {fitting.map(({ id, adapter }) => (
          <option key={id} value={id}>
            {adapter ? `Version ${adapter.version}` : 'Base model'}
          </option>
        ))}
      </datalist>
    </div>
  );
}
