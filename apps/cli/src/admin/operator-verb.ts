import type { GraftClient, PageList } from '@graft/client';
import type { Command } from 'commander';
import { CommandError } from '../errors.ts';
import { connect } from '../remote/connect.ts';
import { pathOf, type RemoteOptions, verb } from '../verb.ts';
import { type Answer, type Columns, listed, printAnswer } from './answer.ts';

export type Admin = GraftClient['admin'];

/** Page size for lists that are read completely. */
export const wholePage = { limit: 1_000 };

/** Adds a verb that uses the API with an operator key. `examples`: what follows the verb on the command line. */
export function operatorVerb(parent: Command, name: string, summary: string, ...examples: string[]): Command {
  return verb(parent, { name, summary, examples: typed(parent, name, examples), remote: 'operator' });
}

/** The examples as complete command lines. */
export function typed(parent: Command, name: string, examples: string[]): string[] {
  const words = `graft ${pathOf(parent)} ${name.split(' ')[0]}`;
  return (examples.length === 0 ? [''] : examples).map((example) => `${words} ${example}`.trim());
}

/** The action of such a verb. `work` receives the arguments after the options. */
export const overApi =
  <O extends object, A extends unknown[]>(
    work: (client: GraftClient, options: O, ...args: A) => Promise<Answer>,
  ) =>
  // commander passes the arguments, the options and the command.
  async (...given: unknown[]): Promise<void> => {
    const options = given.at(-2) as O & RemoteOptions;
    const client = await connect(options, 'operator');
    const answer = work(client, options, ...(given.slice(0, -2) as A));
    printAnswer(options, await answer.catch(explain));
  };

function explain(error: Error & { status?: number }): never {
  if (error.status !== 401) throw error;
  throw new CommandError(
    `${error.message} Set GRAFT_OPERATOR_KEY to an operator key, or save one with \`graft login\`. \`graft admin rescue\` on the service's machine creates one.`,
  );
}

/** Adds a verb that prints a list as a table. `empty`: printed instead of a table without rows. */
export function listVerb<T extends { id: string }>(
  parent: Command,
  summary: string,
  read: (admin: Admin) => PageList<T>,
  columns: Columns<T>,
  empty: string,
  name = 'list',
): void {
  operatorVerb(parent, name, summary).action(
    overApi(async ({ admin }) => listed(await read(admin).toArray(), columns, empty)),
  );
}

/** The API's answer. Throws CommandError with `message` for a 404. */
export const found = <T>(answer: Promise<T>, message: string): Promise<T> =>
  answer.catch((error) => {
    throw error.status === 404 ? new CommandError(message) : error;
  });

/** Removes undefined values, for which the API has defaults. */
export const given = <T extends object>(values: T) =>
  Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as {
    [Name in keyof T]?: Exclude<T[Name], undefined>;
  };
