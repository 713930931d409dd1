import { useEffect, useState } from 'preact/hooks';
import { TextField } from './field.tsx';

/** Milliseconds after the last key until it is searched for. */
const restMs = 250;

/** A search whose value is told when the typing rests: it may stand in the address, and be asked of the server. */
export function SearchField({
  label,
  value,
  onValue,
  placeholder,
}: {
  label: string;
  value: string;
  onValue: (value: string) => void;
  placeholder?: string;
}) {
  const [text, setText] = useState(value);
  useEffect(() => setText(value), [value]);
  useEffect(() => {
    if (text === value) return;
    const timer = setTimeout(onValue, restMs, text);
    return () => clearTimeout(timer);
  }, [text]);
  return (
    <TextField
      label={label}
      bare
      type="search"
      maxLength={64}
      {...(placeholder && { placeholder })}
      value={text}
      onValue={setText}
    />
  );
}
