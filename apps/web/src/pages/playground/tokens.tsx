import { useState } from 'preact/hooks';
import { percent } from '../../text/numbers.ts';
import type { Piece } from './talk.ts';

/** Least probability of each class of tokens; below the last one a token was a surprise. */
const steps = [0.9, 0.5, 0.1, 0.01];

const probability = (logprob: number) => Math.exp(logprob);
/** Of the least probable token in it. */
const classOf = ({ tokens }: Piece) => {
  const least = probability(Math.min(...tokens.map(({ logprob }) => logprob)));
  return steps.findIndex((step) => least >= step) === -1
    ? steps.length
    : steps.findIndex((step) => least >= step);
};

/** Text whose tokens tell how probable they were: under the pointer, or by the arrow keys. */
export function Tokens({ pieces, label }: { pieces: readonly Piece[]; label: string }) {
  const [chosen, setChosen] = useState<number | null>(null);
  const choose = (target: EventTarget | null) => {
    const at = (target as HTMLElement | null)?.dataset?.i;
    if (at !== undefined) setChosen(Number(at));
  };
  const move = (event: KeyboardEvent) => {
    const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!by) return;
    event.preventDefault();
    const from = chosen ?? (by > 0 ? -1 : pieces.length);
    setChosen(Math.min(pieces.length - 1, Math.max(0, from + by)));
  };
  const piece = chosen === null ? undefined : pieces[chosen];
  return (
    <>
      {/* biome-ignore-start lint/a11y: the arrow keys do what the pointer does */}
      <div
        class="playground-text tokens"
        role="group"
        aria-label={label}
        tabIndex={0}
        onPointerOver={({ target }) => choose(target)}
        onClick={({ target }) => choose(target)}
        onKeyDown={move}
      >
        {pieces.map((piece, i) =>
          piece.tokens.length === 0 ? (
            piece.text
          ) : (
            <span key={i} data-i={i} data-step={classOf(piece)} data-chosen={i === chosen}>
              {piece.text}
            </span>
          ),
        )}
      </div>
      {/* biome-ignore-end lint/a11y: the arrow keys do what the pointer does */}
      <div class="tokens-told" aria-live="polite">
        {piece && piece.tokens.length > 0 ? (
          piece.tokens.map(({ token, logprob, top }, i) => (
            <dl key={i}>
              <Row token={token} logprob={logprob} isTaken />
              {top
                .filter((other) => other.token !== token)
                .map((other) => (
                  <Row key={other.token} {...other} />
                ))}
            </dl>
          ))
        ) : (
          <p class="small soft">Point at a token, or press → here, for how probable it was.</p>
        )}
      </div>
    </>
  );
}

function Row({ token, logprob, isTaken }: { token: string; logprob: number; isTaken?: boolean }) {
  const value = probability(logprob);
  return (
    <div data-taken={isTaken}>
      <dt>
        <code>{JSON.stringify(token).slice(1, -1) || '∅'}</code>
      </dt>
      <dd>
        <span class="tokens-bar">
          <span style={{ width: `${100 * value}%` }} />
        </span>
        {percent(value)}
      </dd>
    </div>
  );
}
