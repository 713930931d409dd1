import { useEffect, useId, useState } from 'preact/hooks';
import { TextField, type TextFieldProps } from '../../components/forms/field.tsx';
import { useModels } from '../../data/models.ts';

/** Suggestions at a time; typing filters them. */
const maxShown = 200;

/**
 * A model name: from the list, of a tag or of a checkpoint. `onValue` is called for a name in the list and on blur or Enter, so that
 * incomplete names cause no requests.
 */
export function ModelField({
  value,
  onValue,
  tuned = false,
  base = null,
  ...options
}: TextFieldProps & {
  /** Suggests only fine-tuned models. */
  tuned?: boolean;
  /** Suggests only fine-tuned models of this base model. */
  base?: string | null;
}) {
  const [text, setText] = useState(value);
  const { data = [] } = useModels();
  const models = data.filter(
    ({ base_model }) => (!tuned || base_model !== null) && (base === null || base_model === base),
  );
  const suggestions = models.filter(({ id }) => id.includes(text.trim())).slice(0, maxShown);
  const list = useId();
  useEffect(() => setText(value), [value]);
  const commit = (name: string) => name.trim() !== value && onValue(name.trim());
  return (
    <div>
      <TextField
        {...options}
        list={list}
        placeholder={tuned ? 'ft:…' : 'Base model or ft:…'}
        spellcheck={false}
        autocomplete="off"
        maxLength={512}
        value={text}
        onValue={(name) => {
          setText(name);
          if (models.some(({ id }) => id === name)) commit(name);
        }}
        onFocus={({ currentTarget }) => currentTarget.select()}
        onBlur={() => commit(text)}
        onKeyDown={({ key }) => key === 'Enter' && commit(text)}
      />
      <datalist id={list}>
        {suggestions.map(({ id, adapter }) => (
          <option key={id} value={id}>
            {adapter ? `Version ${adapter.version}` : 'Base model'}
          </option>
        ))}
      </datalist>
    </div>
  );
}
