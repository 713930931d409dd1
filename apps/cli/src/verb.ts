import type { Command } from 'commander';

interface VerbSpec {
  /** Name with arguments, in commander's format: `get <id>`. */
  name: string;
  summary: string;
  /** Complete command lines. */
  examples: string[];
  /** The verb uses a service, with a team key or an operator key: adds --base-url and --api-key. */
  remote?: boolean | 'operator';
}

/** Options that every verb has. */
export interface VerbOptions {
  json?: boolean;
}

/** Options of verbs that use a service. */
export interface RemoteOptions extends VerbOptions {
  baseUrl?: string;
  apiKey?: string;
}

/** Adds a verb with the common parts: --json, --debug, and examples in its help. */
export function verb(parent: Command, spec: VerbSpec): Command {
  const command = parent.command(spec.name).description(spec.summary);
  command.option('--json', 'print JSON on stdout');
  if (spec.remote) {
    command
      .option(
        '--base-url <url>',
        'URL of the service, such as http://127.0.0.1:8000/v1 (default: GRAFT_BASE_URL)',
      )
      .option(
        '--api-key <key>',
        `API key (default: ${spec.remote === 'operator' ? 'GRAFT_OPERATOR_KEY' : 'GRAFT_API_KEY'}); prefer the variable, since other users of this machine can see arguments`,
      );
  }
  command.option('--debug', 'print the stack trace of an error');
  command.addHelpText('after', `\nExample:\n${spec.examples.map((example) => `  $ ${example}`).join('\n')}`);
  return command.showHelpAfterError(`(graft ${pathOf(command)} --help shows its usage)`);
}

/** Adds a group of verbs: `graft files …`. */
export function noun(program: Command, name: string, summary: string): Command {
  return program
    .command(name)
    .description(summary)
    .showHelpAfterError(`(graft ${name} --help shows its usage)`);
}

/** The words that lead to a command, without `graft`. */
export function pathOf(command: Command): string {
  const names: string[] = [];
  for (let at: Command | null = command; at?.parent; at = at.parent) names.unshift(at.name());
  return names.join(' ');
}
