/** Numbers as the reader's locale writes them, and other values. */

const plain = new Intl.NumberFormat();
const short = new Intl.NumberFormat(undefined, { maximumFractionDigits: 1 });
const share = new Intl.NumberFormat(undefined, { style: 'percent', maximumFractionDigits: 1 });
const significant = new Intl.NumberFormat(undefined, { maximumSignificantDigits: 4 });
const scientific = new Intl.NumberFormat(undefined, { notation: 'scientific', maximumSignificantDigits: 3 });

export const none = '–';

/** Any value of a configuration as text: strings as they are, others as JSON. */
export const valueText = (value: unknown): string =>
  value == null ? none : typeof value === 'string' ? value : JSON.stringify(value);

/** Not null, an empty object or an empty list. */
export const isPresent = (value: unknown): boolean =>
  value != null && !(typeof value === 'object' && Object.keys(value).length === 0);

export const count = (value: number | null | undefined): string =>
  value == null ? none : plain.format(value);
/** "1 example", "1,234 examples". */
export const counted = (value: number | null | undefined, one: string): string =>
  `${count(value)} ${value === 1 ? one : `${one}s`}`;
const prefixes = ['', 'k', 'M', 'B', 'T'] as const;

/**
 * "1.2 M" for 1,234,567, with a no-break space. Not Intl's compact notation, whose letters depend on the locale: in British
 * English 2.4 million is "2.4m", which reads as metres or milli.
 */
export function compact(value: number | null | undefined): string {
  if (value == null) return none;
  const size = Math.abs(value);
  // 999,950 and more would be written "1,000 k".
  const power = size < 999.95 ? 0 : Math.min(prefixes.length - 1, Math.floor(Math.log10(size / 0.99995) / 3));
  const prefix = prefixes[power]!;
  return `${short.format(value / 1000 ** power)}${prefix && `\u00a0${prefix}`}`;
}
/** 0.42 as 42%. */
export const percent = (value: number | null | undefined): string =>
  value == null ? none : share.format(value);

/** A measured value: four significant digits, in scientific notation below a millionth and from a million on. */
export function measure(value: number | null | undefined): string {
  if (value == null || !Number.isFinite(value)) return none;
  const size = Math.abs(value);
  return size !== 0 && (size < 1e-6 || size >= 1e6) ? scientific.format(value) : significant.format(value);
}

const units = ['byte', 'kilobyte', 'megabyte', 'gigabyte', 'terabyte'] as const;

/** In powers of 1000, like disk sizes and the API's limits. */
export function bytes(value: number | null | undefined): string {
  if (value == null) return none;
  const size = Math.abs(value);
  const power = size < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log10(size) / 3));
  return new Intl.NumberFormat(undefined, {
    style: 'unit',
    unit: units[power]!,
    unitDisplay: power === 0 ? 'long' : 'short',
    maximumFractionDigits: power === 0 ? 0 : 1,
  }).format(value / 1000 ** power);
}

const hundredths = new Intl.NumberFormat(undefined, { minimumFractionDigits: 2, maximumFractionDigits: 2 });
/** In the operator's currency, which has no name. */
export const money = (value: number): string => hundredths.format(value);
