import { Command } from 'commander';

export interface VerbOptions {
  json?: boolean;
}

/**
 * Adds a verb with the common parts: --json, --debug, and examples in its help. `name`: with arguments, in commander's format, such as
 * `get <id>`. `examples`: what follows the verb on the command line, or complete command lines.
 */
export const verb = (parent: Command, name: string, summary: string, ...examples: string[]): Command =>
  addVerb(new Command(), parent, name, summary, ...examples);

/** Adds an existing command object as a verb, with the common parts of `verb`. */
export function addVerb<C extends Command>(
  command: C,
  parent: Command,
  name: string,
  summary: string,
  ...examples: string[]
): C {
  const [word, ...names] = name.split(' ');
  for (const argument of names) command.argument(argument);
  parent.addCommand(command.name(word!).copyInheritedSettings(parent));
  const words = `graft ${pathOf(command)}`;
  const lines = (examples.length === 0 ? [''] : examples).map((example) =>
    example.includes(words) ? example : `${words} ${example}`.trim(),
  );
  return command
    .description(summary)
    .option('--json', 'print JSON on stdout')
    .option('--debug', 'print the stack trace of an error')
    .addHelpText('after', `\nExample:\n${lines.map((line) => `  $ ${line}`).join('\n')}`)
    .showHelpAfterError(`(${words} --help shows its usage)`);
}

/** Adds a group of verbs: `graft files …`. */
export function noun(parent: Command, name: string, summary: string): Command {
  const command = parent.command(name).description(summary);
  return command.showHelpAfterError(`(graft ${pathOf(command)} --help shows its usage)`);
}

/** The words that lead to a command, without `graft`. */
export function pathOf(command: Command): string {
  const names: string[] = [];
  for (let at: Command | null = command; at?.parent; at = at.parent) names.unshift(at.name());
  return names.join(' ');
}
