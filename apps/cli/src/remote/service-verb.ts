import type { GraftClient, PageList } from '@graft/client';
import { Command, Option } from 'commander';
import { type Answer, listed, printAnswer } from '../answer.ts';
import type { Columns } from '../draw/table.ts';
import { CommandError } from '../errors.ts';
import { wholeNumber } from '../options/arguments.ts';
import { addVerb, pathOf } from '../verb.ts';
import { connect, type KeyKind, type RemoteOptions } from './connect.ts';

/** Page size for lists that are read completely. */
export const wholePage = { limit: 1_000 };

/** Verbs below `graft admin` use an operator key, all others the key of a team. */
const keyKind = (command: Command): KeyKind => (/^admin\b/.test(pathOf(command)) ? 'operator' : 'team');

export class ServiceVerb extends Command {
  /**
   * Sets the action. `work` receives the client, the arguments and the options. It returns null if it has printed its output, or has set
   * the exit code.
   */
  run<P extends unknown[]>(work: (client: GraftClient, ...passed: P) => Promise<Answer | null>): this {
    // commander passes the arguments, the options and the command.
    return this.action(async (...passed: unknown[]) => {
      const options = passed.at(-2) as RemoteOptions;
      const kind = keyKind(this);
      const client = await connect(options, kind);
      const answer = await work(client, ...(passed.slice(0, -1) as P)).catch((error) => {
        throw kind === 'operator' && error.status === 401 ? operatorKeyNeeded(error) : error;
      });
      if (answer) printAnswer(options, answer);
    });
  }
}

/** Adds a verb that uses a service. `examples`: what follows the verb on the command line. */
export function serviceVerb(
  parent: Command,
  name: string,
  summary: string,
  ...examples: string[]
): ServiceVerb {
  const command = addVerb(new ServiceVerb(), parent, name, summary, ...examples);
  const variable = keyKind(command) === 'operator' ? 'GRAFT_OPERATOR_KEY' : 'GRAFT_API_KEY';
  return command.addOption(baseUrlOption()).addOption(apiKeyOption(variable));
}

export const baseUrlOption = (): Option =>
  new Option(
    '--base-url <url>',
    'URL of the service, such as http://127.0.0.1:8000/v1 (default: GRAFT_BASE_URL)',
  );

export const apiKeyOption = (variable: string): Option =>
  new Option(
    '--api-key <key>',
    `API key (default: ${variable}); prefer the variable, since other users of this machine can see arguments`,
  );

const operatorKeyNeeded = (error: Error) =>
  new CommandError(
    `${error.message} Set GRAFT_OPERATOR_KEY to an operator key, or save one with \`graft login\`. \`graft admin rescue\` on the service's machine creates one.`,
  );

interface ListSpec<T> {
  /** Default: `list`. */
  name?: string;
  summary: string;
  /** Examples: the text after the verb on the command line. */
  examples?: string[];
  /** Default of --limit. Without it there is no such option, and all rows are listed. */
  limit?: number;
  /** Maximum number of rows that the API returns at a time; default: 1,000. */
  pageSize?: number;
  columns: Columns<T>;
  /** Printed instead of a table without rows. */
  empty: string;
}

export function listVerb<T extends { id: string }, P extends unknown[]>(
  parent: Command,
  read: (client: GraftClient, page: { limit: number }, ...passed: P) => PageList<T>,
  spec: ListSpec<T>,
): Command {
  const { name = 'list', pageSize = wholePage.limit } = spec;
  const command = serviceVerb(parent, name, spec.summary, ...(spec.examples ?? []));
  if (spec.limit !== undefined)
    command.option('--limit <n>', 'maximum number of rows', wholeNumber(1), spec.limit);
  return command.run(async (client, ...passed: P) => {
    const { limit = Number.POSITIVE_INFINITY } = passed.at(-1) as { limit?: number };
    const list = read(client, { limit: Math.min(limit, pageSize) }, ...passed);
    return listed(await list.toArray(limit), spec.columns, spec.empty);
  });
}

/** The API's answer. Throws CommandError with `message` for a 404. */
export const found = <T>(answer: Promise<T>, message: string): Promise<T> =>
  answer.catch((error) => {
    throw error.status === 404 ? new CommandError(message) : error;
  });

/** The first row that matches. Throws CommandError with `message` where there is none. */
export async function firstMatch<T extends { id: string }>(
  list: PageList<T>,
  matches: (row: T) => boolean,
  message: string,
): Promise<T> {
  for await (const row of list) if (matches(row)) return row;
  throw new CommandError(message);
}
