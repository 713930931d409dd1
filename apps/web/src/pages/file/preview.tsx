import type { ReportTokens } from '@graft/client';
import { count } from '../../text/numbers.ts';

type Example = ReportTokens['preview'][number];
type Sequence = Example['sequences'][number];
type Token = Sequence['tokens'][number];

const roles: Record<Sequence['role'], string> = { text: 'Text', input: 'Input', target: 'Target' };

/** An example, token by token. Runs of learnt tokens are marked as one, so that a wrong mask is seen at once. */
export const Preview = ({ example }: { example: Example }) => (
  <article class="preview" aria-label={`Line ${example.line}`}>
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
          // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by the keyboard
          tabIndex={0}
          aria-label={`Tokens of line ${example.line}, ${sequence.role}`}
        >
          {runsOf(sequence.tokens).map(({ tokens, learnt }, run) =>
            learnt ? (
              <mark key={run} class="token-learnt">
                <span class="visually-hidden">[learnt: </span>
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
  charactersOf(tokens).map(({ ids, text }, i) => (
    <span key={i} class="token" title={ids.join(' ')}>
      {shown(text)}
    </span>
  ));

/** Tokens, each with those before it that have no text of their own: they are the beginning of its character. */
function charactersOf(tokens: readonly Token[]): { ids: number[]; text: string }[] {
  const whole: { ids: number[]; text: string }[] = [];
  for (const { id, text } of tokens) {
    const last = whole.at(-1);
    if (last?.text !== '') whole.push({ ids: [id], text });
    else {
      last.ids.push(id);
      last.text = text;
    }
  }
  return whole;
}

/** What cannot be seen is shown by its sign; a break of the line breaks it here, too. */
function shown(text: string): string {
  if (text === '') return '∅';
  return text.replaceAll('\r', '␍').replaceAll('\t', '→').replaceAll('\n', '⏎\n');
}

function runsOf(tokens: readonly Token[]): { learnt: boolean; tokens: Token[] }[] {
  const runs: { learnt: boolean; tokens: Token[] }[] = [];
  for (const token of tokens) {
    const last = runs.at(-1);
    if (last?.learnt === token.learnt) last.tokens.push(token);
    else runs.push({ learnt: token.learnt, tokens: [token] });
  }
  return runs;
}
