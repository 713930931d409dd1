import { readFileSync } from 'node:fs';
import { type ParseArgsConfig, parseArgs } from 'node:util';

type Options = NonNullable<ParseArgsConfig['options']>;

/**
 * The options of a program that `npm run` starts, as parseArgs reads them. With `--help`, and after a fault of the options, prints the
 * comment that the program's file begins with, which describes them, and ends the process: with code 0 or 2.
 */
export function commandLine<const Given extends Options>(
  options: Given,
): ReturnType<typeof parseArgs<{ options: Given }>>['values'] {
  try {
    const all: Options = { ...options, help: { type: 'boolean' } };
    const { help, ...values } = parseArgs({ options: all }).values;
    if (help !== true) return values as ReturnType<typeof commandLine<Given>>;
  } catch (error) {
    // The rest of Node's message is about arguments that begin with a hyphen.
    endWithUsage((error as Error).message.split('. ')[0]!);
  }
  console.log(usage());
  process.exit(0);
}

/** Ends the process after a fault of its options. */
export function endWithUsage(fault: string): never {
  console.error(`${fault}\n\n${usage()}`);
  process.exit(2);
}

/** The first comment of the file that was started, also where it runs compiled. */
function usage(): string {
  const [, comment = ''] = /^\/\*\*\n?(.*?)\s*\*\//s.exec(readFileSync(process.argv[1]!, 'utf8')) ?? [];
  return comment.replaceAll(/^ \* ?/gm, '');
}
