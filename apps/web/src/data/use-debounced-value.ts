import { useEffect, useState } from 'preact/hooks';

/** The value once it has not changed for `delayMs`. Values are compared as JSON. */
export function useDebouncedValue<T>(value: T, delayMs = 250): T {
  const [settled, setSettled] = useState(value);
  const text = JSON.stringify(value);
  useEffect(() => {
    const timer = setTimeout(() => setSettled(JSON.parse(text) as T), delayMs);
    return () => clearTimeout(timer);
  }, [text]);
  return settled;
}
