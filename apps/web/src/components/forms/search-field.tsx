import { useEffect, useState } from 'preact/hooks';
import { TextField } from './field.tsx';

/** Milliseconds after the last keystroke before the search starts. */
const delayMs = 250;

/** A search field that calls `onValue` when typing pauses, so that it can update the URL and query the server. */
export function SearchField({
  label,
  value,
  onValue,
  placeholder,
  maxLength = 64,
}: {
  label: string;
  value: string;
  onValue: (value: string) => void;
  placeholder?: string;
  maxLength?: number;
}) {
  const [text, setText] = useState(value);
  useEffect(() => setText(value), [value]);
  useEffect(() => {
    if (text === value) return;
    const timer = setTimeout(onValue, delayMs, text);
    return () => clearTimeout(timer);
  }, [text]);
  return (
    <TextField
      label={label}
      hideLabel
      type="search"
      maxLength={maxLength}
      {...(placeholder && { placeholder })}
      value={text}
      onValue={setText}
    />
  );
}
