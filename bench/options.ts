import type { ParseArgsConfig, parseArgs } from 'node:util';
import { commandLine, endWithUsage } from '../scripts/command-line.ts';

type Options = NonNullable<ParseArgsConfig['options']>;
type Values<Given extends Options> = ReturnType<typeof parseArgs<{ options: Given }>>['values'];

/**
 * The options of the command line: those of `counts`, by their defaults, are whole numbers of at least 1, or of at least `least`; `others`
 * are as for parseArgs. After a fault, ends the process with a sentence that names the option, and usage.
 */
export function benchOptions<Name extends string, const Others extends Options>(
  counts: Record<Name, number>,
  others: Others,
  least: Partial<Record<Name, number>> = {},
): Record<Name, number> & Values<Others> {
  const names = Object.keys(counts) as Name[];
  const texts = names.map((name) => [name, { type: 'string', default: String(counts[name]) }]);
  const values = commandLine({ ...(Object.fromEntries(texts) as Options), ...others });
  const numbers = names.map((name) => [
    name,
    wholeNumber(name, (values as Record<string, unknown>)[name], least[name]),
  ]);
  return { ...(values as Values<Others>), ...(Object.fromEntries(numbers) as Record<Name, number>) };
}

export function wholeNumber(name: string, text: unknown, least = 1): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < least)
    endWithUsage(`--${name} is a whole number of at least ${least}`);
  return value;
}
