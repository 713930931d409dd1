import { useSearchParams } from 'wouter-preact';

/**
 * A page's state in the URL's query, so that reloads, links and the back button keep it. Setting null, '' or the default removes a
 * parameter. Several changes in one call update the URL once. The last part returns the properties of a field for one parameter.
 */
export function useQueryState<T extends Record<string, string>>(defaults: T) {
  const [params, setParams] = useSearchParams();
  const names = Object.keys(defaults) as (keyof T & string)[];
  const state = Object.fromEntries(names.map((name) => [name, params.get(name) ?? defaults[name]])) as T;
  const set = (changes: Partial<{ [K in keyof T]: T[K] | null }>) =>
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
    );
  const field = <Name extends keyof T & string>(name: Name) => ({
    value: state[name],
    onValue: (value: T[Name]) => set({ [name]: value } as unknown as Partial<T>),
  });
  return [state, set, field] as const;
}
