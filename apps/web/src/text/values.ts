import { none } from './numbers.ts';

/** Any value of a configuration as text: strings as they are, others as JSON. */
export const valueText = (value: unknown): string =>
  value == null ? none : typeof value === 'string' ? value : JSON.stringify(value);

/** Not null, an empty object or an empty list. */
export const isPresent = (value: unknown): boolean =>
  value != null && !(typeof value === 'object' && Object.keys(value).length === 0);
