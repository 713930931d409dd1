import { useEffect, useState } from 'preact/hooks';

/** A value outside of components, which render again when it changes. */
export function createStore<T>(initial: T) {
  let value = initial;
  const listeners = new Set<(value: T) => void>();
  return {
    get: () => value,
    set: (next: T) => {
      value = next;
      for (const listener of listeners) listener(next);
    },
    use: (): T => {
      const [shown, setShown] = useState(value);
      useEffect(() => {
        setShown(value);
        listeners.add(setShown);
        return () => void listeners.delete(setShown);
      }, []);
      return shown;
    },
  };
}
