import type { Command } from 'commander';

interface VerbSpec {
  /** With its arguments, as commander takes them: `get <id>`. */
  name: string;
  summary: string;
  /** Commands that can be typed as they are. */
  examples: string[];
  /** Talks to a service, with a key of a team or of the operator: takes --base-url and --api-key. */
  remote?: boolean | 'operator';
}

/** What `verb` gives every verb. */
export interface VerbOptions {
  json?: boolean;
}

/** What it gives those that talk to a service. */
export interface RemoteOptions extends VerbOptions {
  baseUrl?: string;
  apiKey?: string;
}

/** A verb with what all have: --json, --debug, and examples in its help. */
export function verb(parent: Command, spec: VerbSpec): Command {
  const command = parent.command(spec.name).description(spec.summary);
  command.option('--json', 'print machine-readable output alone on stdout');
  if (spec.remote) {
    command
      .option('--base-url <url>', 'the service, such as http://127.0.0.1:8000/v1 (default: GRAFT_BASE_URL)')
      .option(
        '--api-key <key>',
        `default: ${spec.remote === 'operator' ? 'GRAFT_OPERATOR_KEY' : 'GRAFT_API_KEY'}, which other users of this machine cannot see`,
      );
  }
  command.option('--debug', 'print the stack of an error');
  command.addHelpText('after', `\nExample:\n${spec.examples.map((example) => `  $ ${example}`).join('\n')}`);
  return command.showHelpAfterError(`(graft ${pathOf(command)} --help shows how)`);
}

/** Several verbs under one noun: `graft files …`. */
export function noun(program: Command, name: string, summary: string): Command {
  return program.command(name).description(summary).showHelpAfterError(`(graft ${name} --help shows how)`);
}

/** The words that lead to it, without `graft`. */
export function pathOf(command: Command): string {
  const names: string[] = [];
  for (let at: Command | null = command; at?.parent; at = at.parent) names.unshift(at.name());
  return names.join(' ');
}
