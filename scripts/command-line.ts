import { readFileSync } from 'node:fs';
import { type ParseArgsConfig, parseArgs } from 'node:util';

type Options = NonNullable<ParseArgsConfig['options']>;
type Values<Given extends Options> = ReturnType<typeof parseArgs<{ options: Given }>>['values'];

/**
 * The options of a program that `npm run` starts, as parseArgs reads them; those of `counts`, by their defaults, are whole numbers of at
 * least 1, or of at least `least`. With `--help`, and after a fault of the options, prints the comment that the program's file begins
 * with, which describes them, and ends the process: with code 0 or 2.
 */
export function commandLine<const Given extends Options, Name extends string = never>(
  options: Given,
  counts: Record<Name, number> = {} as Record<Name, number>,
  least: Partial<Record<Name, number>> = {},
): Values<Given> & Record<Name, number> {
  const all: Options = { ...options, help: { type: 'boolean' } };
  for (const name in counts) all[name] = { type: 'string', default: String(counts[name]) };
  try {
    const { help, ...values } = parseArgs({ options: all }).values;
    if (help !== true) {
      const numbers = Object.keys(counts).map((name) => [
        name,
        wholeNumber(name, values[name], least[name as Name]),
      ]);
      return { ...(values as Values<Given>), ...(Object.fromEntries(numbers) as Record<Name, number>) };
    }
  } catch (error) {
    // The rest of Node's message is about arguments that begin with a hyphen.
    endWithUsage((error as Error).message.split('. ')[0]!);
  }
  console.log(usage());
  process.exit(0);
}

export function wholeNumber(name: string, text: unknown, least = 1): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < least)
    endWithUsage(`--${name} is a whole number of at least ${least}`);
  return value;
}

/** The words of `--name a,b`, which may be empty. Ends the process after one that is none of `known`. */
export function listOf<Word extends string>(name: string, text: string, known: readonly Word[]): Word[] {
  const words = text.split(',').filter(Boolean) as Word[];
  const stray = words.find((word) => !known.includes(word));
  if (stray !== undefined) endWithUsage(`--${name}: ${stray} is none of ${known.join(', ')}`);
  return words;
}

/** Those of `all` that the words name, or all where they name none. */
export function chosenOf<Name extends string>(all: readonly Name[], words: readonly string[]): Name[] {
  const named = all.filter((one) => words.includes(one));
  return named.length > 0 ? named : [...all];
}

export function endWithUsage(fault: string): never {
  console.error(`${fault}\n\n${usage()}`);
  process.exit(2);
}

/** The first comment of the file that was started, also where it runs compiled. */
function usage(): string {
  const [, comment = ''] = /^\/\*\*\n?(.*?)\s*\*\//s.exec(readFileSync(process.argv[1]!, 'utf8')) ?? [];
  return comment.replaceAll(/^ \* ?/gm, '');
}
