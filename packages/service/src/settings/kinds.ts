import path from 'node:path';

/** Format of a setting's text. */
export interface Kind<T> {
  /** Completes "NAME must be …". */
  form: string;
  /** Undefined: the text does not have this format. */
  parse(text: string): T | undefined;
}

export function matching(pattern: RegExp, form: string): Kind<string> {
  return { form, parse: (text) => (pattern.test(text) ? text : undefined) };
}

export const text = matching(/^/, 'text');

export function secret(length: number): Kind<string> {
  return matching(new RegExp(`^[^]{${length},}$`), `a secret of ${length} characters or more`);
}

export function url(...schemes: string[]): Kind<string> {
  const starts = schemes.map((scheme) => `${scheme}://`);
  return {
    form: `a URL that begins with ${starts.join(' or ')}`,
    parse: (given) => (starts.some((start) => given.startsWith(start)) ? given : undefined),
  };
}

/** A file or folder; parsed to an absolute path. */
export const file: Kind<string> = { form: 'a path', parse: (given) => path.resolve(given) };

/** Comma-separated entries. */
export const list: Kind<string[]> = {
  form: 'a list, separated by commas',
  parse: (given) =>
    given
      .split(',')
      .map((entry) => entry.trim())
      .filter(Boolean),
};

export function choice<const T extends string>(...words: T[]): Kind<T> {
  const last = words.at(-1);
  return {
    form: words.length > 1 ? `${words.slice(0, -1).join(', ')} or ${last}` : `${last}`,
    parse: (given) => words.find((word) => word === given),
  };
}

/** Parsed to true for `on`, and to false for `off`. */
export function flag(on: string, off: string): Kind<boolean> {
  return {
    form: `${on} or ${off}`,
    parse: (given) => (given === on ? true : given === off ? false : undefined),
  };
}

/** An integer in decimal digits, without leading zeros if the minimum is above 0. */
export function integer(minimum: number, maximum: number, unit = 'a whole number'): Kind<number> {
  const digits = new RegExp(`^[0-9]{1,${String(maximum).length}}$`);
  return {
    form: `${unit} from ${minimum} to ${maximum}`,
    parse: (given) => {
      const value = digits.test(given) && !(minimum > 0 && given.startsWith('0')) ? Number(given) : -1;
      return value >= minimum && value <= maximum ? value : undefined;
    },
  };
}

export const port = integer(0, 65_535, 'a port');

/** Megabytes of 1,000,000 bytes; parsed to bytes. */
export function megabytes(maximum: number): Kind<number> {
  const whole = integer(1, maximum, 'a whole number of MB');
  return {
    form: whole.form,
    parse: (given) => {
      const value = whole.parse(given);
      return value === undefined ? undefined : value * 1e6;
    },
  };
}

export const bytes = integer(0, 1e15 - 1, 'a number of bytes');

/** Seconds, with optional decimals. */
export const seconds: Kind<number> = {
  form: 'a number of seconds',
  parse: (given) => (/^[0-9]{1,5}(\.[0-9]+)?$/.test(given) ? Number(given) : undefined),
};
