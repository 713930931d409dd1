import type { TurnTexts } from '../turn-texts.ts';

/**
 * A chat template in Go's text/template, as Ollama runs it: `.System` holds the system messages, `.Messages` all messages, those of one role in a
 * row joined. Source: ollama, template/template.go (Execute, collate).
 */
export function goTemplate({ start, system, user, assistant, prompt }: TurnTexts): string {
  const inSystem = system ? `${text(system.before)}{{ .System }}${text(system.after)}` : '';
  const inTurn = system ? `${text(system.before)}{{ $.System }}${text(system.after)}` : '';
  const first =
    system?.place === 'start' ? `{{ if .System }}${inSystem}{{ else }}${text(start)}{{ end }}` : text(start);
  const within =
    system?.place === 'first'
      ? `{{ if and $.System (le $i 1) }}${inTurn}{{ end }}`
      : system?.place === 'last'
        ? `{{ if and $.System $last }}${inTurn}{{ end }}`
        : '';
  return [
    first,
    '{{ range $i, $_ := .Messages }}{{ $last := eq (len (slice $.Messages $i)) 1 }}',
    `{{ if eq .Role "user" }}${text(user)}${within}{{ .Content }}`,
    `{{ if $last }}${text(prompt)}{{ end }}`,
    `{{ else if eq .Role "assistant" }}${text(assistant.before)}{{ .Content }}{{ if not $last }}${text(assistant.after)}{{ end }}`,
    '{{ end }}{{ end }}',
  ].join('');
}

/** Text of a template; delimiters in it are written as values, and so is a brace at the end, which would be part of a delimiter after it. */
const text = (plain: string): string => plain.replaceAll(/\{\{|\{$/g, (open) => `{{ "${open}" }}`);
