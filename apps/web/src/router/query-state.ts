import { useSearchParams } from 'wouter-preact';

/**
 * A page's state in the URL's query, so that reloads, links and the back button keep it. Setting null, '' or the default removes a
 * parameter. Several changes in one call update the URL once.
 */
export function useQueryState<T extends Record<string, string>>(
  defaults: T,
): [T, (changes: Partial<{ [K in keyof T]: T[K] | null }>) => void] {
  const [params, setParams] = useSearchParams();
  const names = Object.keys(defaults) as (keyof T & string)[];
  const state = Object.fromEntries(names.map((name) => [name, params.get(name) ?? defaults[name]])) as T;
  return [
    state,
    (changes) =>
      setParams(
        (previous) => {
          const next = new URLSearchParams(previous);
          for (const [name, value] of Object.entries(changes)) {
            if (value == null || value === '' || value === defaults[name]) next.delete(name);
            else next.set(name, value);
          }
          return next;
        },
        { replace: true },
      ),
  ];
}
