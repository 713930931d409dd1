import { Argument, type Command } from 'commander';
import { printAnswer } from './answer.ts';
import { type VerbOptions, verb } from './verb.ts';

/** The words that lead to a command, and the words that may follow, each with a description. */
interface Place {
  words: string;
  next: { word: string; summary: string }[];
}

const shells = ['bash', 'zsh', 'fish'] as const;
type Shell = (typeof shells)[number];

export function addCompletionVerb(program: Command): void {
  const prints = 'print a shell script that completes commands and options with the Tab key';
  const examples = [
    'bash > ~/.local/share/bash-completion/completions/graft',
    'zsh > ~/.zfunc/_graft',
    'fish > ~/.config/fish/completions/graft.fish',
  ];
  verb(program, 'completion', prints, ...examples)
    .addArgument(new Argument('<shell>', 'the shell to print it for').choices([...shells]))
    .action((shell: Shell, options: VerbOptions) => {
      const script = completionScript(program, shell);
      printAnswer(options, { value: { shell, script }, text: script });
    });
}

/** Generates the script from the program, so that it has every verb. For the value of an option, the shell offers files. */
export function completionScript(program: Command, shell: Shell): string {
  const places = placesOf(program, program.name());
  return { bash, zsh, fish }[shell](places);
}

function placesOf(command: Command, words: string): Place[] {
  const choices = command.registeredArguments.flatMap(({ argChoices }) => argChoices ?? []);
  const next: Place['next'] = [
    ...command.commands.map((child) => ({ word: child.name(), summary: child.description() })),
    ...choices.map((word) => ({ word, summary: '' })),
    ...command.options.flatMap(({ long, description }) =>
      long ? [{ word: long, summary: description }] : [],
    ),
    { word: '--help', summary: 'show usage' },
  ];
  const below = command.commands.flatMap((child) => placesOf(child, `${words} ${child.name()}`));
  return [{ words, next }, ...below];
}

/** Shell code that sets `place` to the longest known command in the typed words; used for bash and zsh. */
function findPlace(places: Place[], typed: string): string {
  const known = places.slice(1).map(({ words }) => `'${words}'`);
  return `  local place=graft word
  for word in ${typed}; do
    case "$place $word" in
      ${known.join('|')}) place="$place $word" ;;
    esac
  done`;
}

function bash(places: Place[]): string {
  const cases = places.map(
    ({ words, next }) => `    '${words}') words='${next.map(({ word }) => word).join(' ')}' ;;`,
  );
  return `# Tab completion of graft for bash.
_graft() {
${findPlace(places, `"\${COMP_WORDS[@]:1:COMP_CWORD-1}"`)}
  local words=''
  case "$place" in
${cases.join('\n')}
  esac
  COMPREPLY=($(compgen -W "$words" -- "\${COMP_WORDS[COMP_CWORD]}"))
}
complete -o default -F _graft graft
`;
}

function zsh(places: Place[]): string {
  const cases = places.map(({ words, next }) => {
    const described = next.map(({ word, summary }) => quoted(`${word}:${plain(summary)}`));
    return `    '${words}') next=(${described.join(' ')}) ;;`;
  });
  return `#compdef graft
# Tab completion of graft for zsh.
_graft() {
${findPlace(places, `"\${(@)words[2,CURRENT-1]}"`)}
  local -a next
  case "$place" in
${cases.join('\n')}
  esac
  _describe 'graft' next || _files
}
compdef _graft graft
`;
}

function fish(places: Place[]): string {
  const known = places.slice(1).map(({ words }) => `'${words}'`);
  const lines = places.flatMap(({ words, next }) =>
    next.map(({ word, summary }) => {
      const what = word.startsWith('--') ? `-l ${word.slice(2)}` : `-a ${word}`;
      return `complete -c graft -n "__graft_at '${words}'" ${what} -d ${quoted(plain(summary))}`;
    }),
  );
  return `# Tab completion of graft for fish.
function __graft_at
    set -l place graft
    for word in (commandline -opc)[2..-1]
        if contains -- "$place $word" ${known.join(' ')}
            set place "$place $word"
        end
    end
    test "$place" = "$argv[1]"
end
${lines.join('\n')}
`;
}

/** Removes line breaks and the characters that shells and their menus interpret. */
const plain = (text: string): string => text.replaceAll(/[\n:\\`$]/g, ' ');
const quoted = (text: string): string => `'${text.replaceAll("'", '’')}'`;
