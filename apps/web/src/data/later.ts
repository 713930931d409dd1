import { useEffect, useState } from 'preact/hooks';

const pauseMs = 250;

/** The value once it has stayed for a moment; compared by what is in it. */
export function useLater<T>(value: T): T {
  const [kept, setKept] = useState(value);
  const text = JSON.stringify(value);
  useEffect(() => {
    const timer = setTimeout(() => setKept(JSON.parse(text) as T), pauseMs);
    return () => clearTimeout(timer);
  }, [text]);
  return kept;
}
