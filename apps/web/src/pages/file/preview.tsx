import type { ReportTokens } from '@graft/client';
import type { ComponentChildren } from 'preact';
import { count } from '../../text/numbers.ts';

type Example = ReportTokens['preview'][number];
type Sequence = Example['sequences'][number];
type Token = Sequence['tokens'][number];

const roles: Record<Sequence['role'], string> = { text: 'Text', input: 'Input', target: 'Target' };

/** What the tokens of a chat belong to, in the order of the legend. */
export const roleNames: Record<NonNullable<Token['role']>, string> = {
  system: 'system',
  developer: 'developer',
  user: 'user',
  assistant: 'assistant',
  reasoning: 'reasoning',
  tool: 'tool result',
  template: 'chat template',
};

/** An example, token by token. Consecutive trained-on tokens share one mark, so that a wrong mask is easy to see. */
export const Preview = ({ example, name }: { example: Example; name: string }) => (
  <article class="preview tight" aria-label={name}>
    <h4 class="small">
      {name}
      {example.label !== null && (
        <>
          {' '}
          · class <strong>{example.label}</strong>
        </>
      )}
      {example.weight !== 1 && <> · weight {example.weight}</>}
    </h4>
    {example.sequences.map((sequence, i) => (
      <div key={i}>
        {example.sequences.length > 1 && <p class="small soft">{roles[sequence.role]}</p>}
        <section
          class="preview-tokens"
          // biome-ignore lint/a11y/noNoninteractiveTabindex: scrollable areas must be focusable
          tabIndex={0}
          aria-label={`Tokens of ${name}, ${sequence.role}`}
        >
          {groupRuns(sequence.tokens).map(({ tokens, ...run }, i) => (
            <Run key={i} {...run}>
              <Tokens tokens={tokens} />
            </Run>
          ))}
          {sequence.left_out > 0 && (
            <span class="small soft"> … and {count(sequence.left_out)} more tokens</span>
          )}
        </section>
      </div>
    ))}
    {example.dropped_reasoning.length > 0 && (
      <p class="small soft">
        The chat template drops the reasoning of {messagesText(example.dropped_reasoning)}.
      </p>
    )}
  </article>
);

/** Maximum number of messages that are named. */
const MAX_NAMED = 10;

/** Such as "messages[1] and messages[3]". */
function messagesText(numbers: readonly number[]): string {
  const names = numbers.slice(0, MAX_NAMED).map((number) => `messages[${number}]`);
  if (numbers.length > MAX_NAMED) return `${names.join(', ')}, …`;
  return [names.slice(0, -1).join(', '), names.at(-1)].filter(Boolean).join(' and ');
}

type RunKind = Omit<Token, 'id' | 'text'>;

/** Consecutive tokens of one kind. Screen readers hear the role and the weight, which are colours and a tooltip for others. */
const Run = ({ learnt, role, weight, children }: RunKind & { children: ComponentChildren }) => {
  const hasWeight = learnt && weight !== 1;
  const kind = [
    ...(role ? [roleNames[role]] : []),
    ...(learnt ? ['trained on'] : []),
    ...(hasWeight ? [`weight ${weight}`] : []),
  ].join(', ');
  const content = (
    <>
      {kind && <span class="visually-hidden">[{kind}: </span>}
      {children}
      {hasWeight && (
        <sup class="token-weight" aria-hidden="true">
          ×{weight}
        </sup>
      )}
      {kind && <span class="visually-hidden">]</span>}
    </>
  );
  const data = role ? { 'data-role': role } : {};
  return learnt ? (
    <mark class="token-trained" title={kind} {...data}>
      {content}
    </mark>
  ) : (
    <span title={kind || undefined} {...data}>
      {content}
    </span>
  );
};

const Tokens = ({ tokens }: { tokens: readonly Token[] }) =>
  groupCharacters(tokens).map(({ ids, text }, i) => (
    <span key={i} class="token" title={ids.join(' ')}>
      {showWhitespace(text)}
    </span>
  ));

/** Joins tokens without text, which are the first bytes of a character, with the token that completes it. */
function groupCharacters(tokens: readonly Token[]): { ids: number[]; text: string }[] {
  const characters: { ids: number[]; text: string }[] = [];
  for (const { id, text } of tokens) {
    const last = characters.at(-1);
    if (last?.text !== '') characters.push({ ids: [id], text });
    else {
      last.ids.push(id);
      last.text = text;
    }
  }
  return characters;
}

/** Replaces invisible characters with symbols; line breaks are kept. */
function showWhitespace(text: string): string {
  if (text === '') return '∅';
  return text.replaceAll('\r', '␍').replaceAll('\t', '→').replaceAll('\n', '⏎\n');
}

function groupRuns(tokens: readonly Token[]): (RunKind & { tokens: Token[] })[] {
  const runs: (RunKind & { tokens: Token[] })[] = [];
  for (const token of tokens) {
    const { learnt, role, weight } = token;
    const last = runs.at(-1);
    if (last?.learnt === learnt && last.role === role && last.weight === weight) last.tokens.push(token);
    else runs.push({ learnt, role, weight, tokens: [token] });
  }
  return runs;
}
