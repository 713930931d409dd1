import { useState } from 'preact/hooks';
import { percent } from '../../text/numbers.ts';
import type { Piece } from './chat.ts';

/** Minimum probability of each colour class; tokens below the last one are the least likely. */
const steps = [0.9, 0.5, 0.1, 0.01];

const probability = (logprob: number) => Math.exp(logprob);
/** Colour class of a piece, by its least likely token. */
const colourClass = ({ tokens }: Piece) => {
  const minimum = probability(Math.min(...tokens.map(({ logprob }) => logprob)));
  const step = steps.findIndex((each) => minimum >= each);
  return step === -1 ? steps.length : step;
};

/** Text that shows the probabilities of a token, selected by pointer or arrow keys. */
export function Tokens({ pieces, label }: { pieces: readonly Piece[]; label: string }) {
  const [selected, setSelected] = useState<number | null>(null);
  const select = (target: EventTarget | null) => {
    const at = (target as HTMLElement | null)?.dataset?.i;
    if (at !== undefined) setSelected(Number(at));
  };
  const move = (event: KeyboardEvent) => {
    const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!by) return;
    event.preventDefault();
    const from = selected ?? (by > 0 ? -1 : pieces.length);
    setSelected(Math.min(pieces.length - 1, Math.max(0, from + by)));
  };
  const piece = selected === null ? undefined : pieces[selected];
  return (
    <>
      {/* biome-ignore-start lint/a11y: the arrow keys do what the pointer does */}
      <div
        class="playground-text tokens"
        role="group"
        aria-label={label}
        tabIndex={0}
        onPointerOver={({ target }) => select(target)}
        onClick={({ target }) => select(target)}
        onKeyDown={move}
      >
        {pieces.map((piece, i) =>
          piece.tokens.length === 0 ? (
            piece.text
          ) : (
            <span key={i} data-i={i} data-step={colourClass(piece)} data-selected={i === selected}>
              {piece.text}
            </span>
          ),
        )}
      </div>
      {/* biome-ignore-end lint/a11y: the arrow keys do what the pointer does */}
      <div class="token-details" aria-live="polite">
        {piece && piece.tokens.length > 0 ? (
          piece.tokens.map(({ token, logprob, top }, i) => (
            <dl key={i}>
              <Row token={token} logprob={logprob} isSampled />
              {top
                .filter((other) => other.token !== token)
                .map((other) => (
                  <Row key={other.token} {...other} />
                ))}
            </dl>
          ))
        ) : (
          <p class="small soft">Hover over a token, or focus the text and press →, to see its probability.</p>
        )}
      </div>
    </>
  );
}

function Row({ token, logprob, isSampled }: { token: string; logprob: number; isSampled?: boolean }) {
  const value = probability(logprob);
  return (
    <div data-sampled={isSampled}>
      <dt class="cut">
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
