import { useEffect, useRef } from 'preact/hooks';
import { Button } from '../../components/forms/button.tsx';
import { CopyButton } from '../../components/forms/copy-button.tsx';
import { Problem } from '../../components/problem.tsx';
import { counted, rough } from '../../text/numbers.ts';
import { span } from '../../text/times.ts';
import { curlOf } from './requests.ts';
import { type Answer, isOpen, type Turn, textOf } from './talk.ts';
import { Tokens } from './tokens.tsx';

const sides = ['A', 'B'] as const;

/** What was asked, and the answers side by side. */
export function Turns({
  turns,
  onAgain,
}: {
  turns: readonly Turn[];
  onAgain: (turn: number, side: number) => void;
}) {
  const newest = useRef<HTMLLIElement>(null);
  // One that was just asked comes into sight.
  useEffect(() => {
    if (turns.at(-1)?.answers.some(isOpen)) newest.current?.scrollIntoView();
  }, [turns.length]);
  return (
    <ol class="playground-turns">
      {turns.map(({ prompt, answers }, turn) => (
        <li key={turn} class="playground-turn" ref={turn === turns.length - 1 ? newest : null}>
          <p class="playground-prompt">{prompt}</p>
          <div class="playground-answers">
            {answers.map((answer, side) => (
              <Side key={side} name={sides[side]!} answer={answer} onAgain={() => onAgain(turn, side)} />
            ))}
          </div>
          {isSame(answers) && <p class="small soft">Both wrote the same.</p>}
        </li>
      ))}
    </ol>
  );
}

const isSame = ([a, b]: readonly Answer[]) =>
  a?.state === 'done' && b?.state === 'done' && textOf(a) !== '' && textOf(a) === textOf(b);

function Side({ name, answer, onAgain }: { name: string; answer: Answer; onAgain: () => void }) {
  const { asked, state, pieces, error } = answer;
  const text = textOf(answer);
  const label = `Answer of ${name}`;
  return (
    <article class="playground-side" data-side={name} aria-label={label} aria-busy={isOpen(answer)}>
      <header>
        <strong>{name}</strong>
        <span class="cut small soft" title={asked.model}>
          {asked.model}
        </span>
      </header>
      {pieces.some(({ tokens }) => tokens.length > 0) ? (
        <Tokens pieces={pieces} label={label} />
      ) : (
        <p class="playground-text">{text}</p>
      )}
      {state === 'failed' ? (
        <Problem error={error} onRetry={onAgain} />
      ) : (
        <footer class="row">
          <span class="small soft playground-figures">{figuresOf(answer)}</span>
          {!isOpen(answer) && (
            <>
              <Button kind="quiet" small icon="refresh" onClick={onAgain}>
                Again
              </Button>
              <CopyButton text={text} />
            </>
          )}
          <CopyButton text={curlOf(asked, location.origin)} label="Copy as curl" />
        </footer>
      )}
    </article>
  );
}

function figuresOf({ state, finish, tokens, firstMs, totalMs }: Answer): string {
  if (state === 'waiting') return 'Waiting for a worker…';
  if (state === 'writing') return 'Writing…';
  const told: string[] = [];
  if (state === 'stopped') told.push('Stopped');
  if (finish === 'length') told.push('Cut at the most tokens');
  if (tokens !== null) told.push(counted(tokens, 'token'));
  if (tokens !== null && totalMs) told.push(`${rough((tokens * 1000) / totalMs)} tokens/s`);
  if (firstMs !== null) told.push(`first after ${span(firstMs / 1000)}`);
  return told.join(' · ');
}
