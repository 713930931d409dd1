import type { ReportTokens } from '@graft/client';
import { count } from '../../text/numbers.ts';

type Example = ReportTokens['preview'][number];
type Sequence = Example['sequences'][number];
type Token = Sequence['tokens'][number];

const roles: Record<Sequence['role'], string> = { text: 'Text', input: 'Input', target: 'Target' };

/** An example, token by token. Consecutive trained-on tokens share one mark, so that a wrong mask is easy to see. */
export const Preview = ({ example }: { example: Example }) => (
  <article class="preview tight" aria-label={`Line ${example.line}`}>
    <h4 class="small">
      Line {count(example.line)}
      {example.label !== null && (
        <>
          {' '}
          · class <strong>{example.label}</strong>
        </>
      )}
    </h4>
    {example.sequences.map((sequence, i) => (
      <div key={i}>
        {example.sequences.length > 1 && <p class="small soft">{roles[sequence.role]}</p>}
        <section
          class="preview-tokens"
          // biome-ignore lint/a11y/noNoninteractiveTabindex: scrollable areas must be focusable
          tabIndex={0}
          aria-label={`Tokens of line ${example.line}, ${sequence.role}`}
        >
          {groupRuns(sequence.tokens).map(({ tokens, learnt }, run) =>
            learnt ? (
              <mark key={run} class="token-trained">
                <span class="visually-hidden">[trained on: </span>
                <Tokens tokens={tokens} />
                <span class="visually-hidden">]</span>
              </mark>
            ) : (
              <span key={run}>
                <Tokens tokens={tokens} />
              </span>
            ),
          )}
          {sequence.left_out > 0 && (
            <span class="small soft"> … and {count(sequence.left_out)} more tokens</span>
          )}
        </section>
      </div>
    ))}
  </article>
);

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

function groupRuns(tokens: readonly Token[]): { learnt: boolean; tokens: Token[] }[] {
  const runs: { learnt: boolean; tokens: Token[] }[] = [];
  for (const token of tokens) {
    const last = runs.at(-1);
    if (last?.learnt === token.learnt) last.tokens.push(token);
    else runs.push({ learnt: token.learnt, tokens: [token] });
  }
  return runs;
}
