import { useEffect, useState } from 'preact/hooks';
import { TextField, type TextFieldProps } from './field.tsx';

/** Milliseconds after the last keystroke before the search starts. */
const delayMs = 250;

/** A search field that calls `onValue` when typing pauses, so that it can update the URL and query the server. */
export function SearchField({ value, onValue, ...options }: TextFieldProps) {
  const [text, setText] = useState(value);
  useEffect(() => setText(value), [value]);
  useEffect(() => {
    if (text === value) return;
    const timer = setTimeout(onValue, delayMs, text);
    return () => clearTimeout(timer);
  }, [text]);
  return <TextField hideLabel type="search" maxLength={64} {...options} value={text} onValue={setText} />;
}
