import { useSearchParams } from 'wouter-preact';

/**
 * What a page shows, kept in the address so that a refresh, a link and the way back lose nothing. Setting null, '' or the
 * default takes it out. Several at once are one change of the address.
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
        (before) => {
          const after = new URLSearchParams(before);
          for (const [name, value] of Object.entries(changes)) {
            if (value == null || value === '' || value === defaults[name]) after.delete(name);
            else after.set(name, value);
          }
          return after;
        },
        { replace: true },
      ),
  ];
}
