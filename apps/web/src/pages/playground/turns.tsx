import { useEffect, useRef } from 'preact/hooks';
import { Cut } from '../../components/cut.tsx';
import { Button } from '../../components/forms/button.tsx';
import { CopyButton } from '../../components/forms/copy-button.tsx';
import { Problem } from '../../components/problem.tsx';
import { compact, counted } from '../../text/numbers.ts';
import { duration } from '../../text/times.ts';
import { Calls, Reasoning, Steps } from './calls.tsx';
import { type Answer, answerText, isOpen, type Turn } from './chat.ts';
import { toCurl } from './requests.ts';
import { Tokens } from './tokens.tsx';

const sides = ['A', 'B'] as const;

/** The prompts, with their answers side by side. */
export function Turns({
  turns,
  onRegenerate,
  onResults,
}: {
  turns: readonly Turn[];
  onRegenerate: (turn: number, side: number) => void;
  onResults: (turn: number, side: number, results: readonly string[]) => void;
}) {
  const newest = useRef<HTMLLIElement>(null);
  // Scrolls to a new turn.
  useEffect(() => {
    if (turns.at(-1)?.answers.some(isOpen)) newest.current?.scrollIntoView();
  }, [turns.length]);
  return (
    <ol class="playground-turns stack">
      {turns.map(({ prompt, answers }, turn) => (
        <li key={turn} class="panel" ref={turn === turns.length - 1 ? newest : null}>
          <p class="playground-prompt">{prompt}</p>
          <div class="playground-answers">
            {answers.map((answer, side) => (
              <Side
                key={side}
                name={sides[side]!}
                answer={answer}
                onRegenerate={() => onRegenerate(turn, side)}
                onResults={
                  turn === turns.length - 1 ? (results) => onResults(turn, side, results) : undefined
                }
              />
            ))}
          </div>
          {isSame(answers) && <p class="small soft">Both answers are identical.</p>}
        </li>
      ))}
    </ol>
  );
}

const isSame = ([a, b]: readonly Answer[]) =>
  a?.state === 'done' && b?.state === 'done' && answerText(a) !== '' && answerText(a) === answerText(b);

interface SideProps {
  name: string;
  answer: Answer;
  onRegenerate: () => void;
  /** Undefined: it is too late for results. */
  onResults: ((results: readonly string[]) => void) | undefined;
}

function Side({ name, answer, onRegenerate, onResults }: SideProps) {
  const { request, state, pieces, reasoning, calls, error } = answer;
  const text = answerText(answer);
  const label = `Answer of ${name}`;
  return (
    <article
      class="playground-side card tight"
      data-side={name}
      aria-label={label}
      aria-busy={isOpen(answer)}
    >
      <header>
        <strong>{name}</strong>
        <Cut text={request.model} class="small soft" />
      </header>
      <Steps steps={request.steps} />
      <Reasoning text={reasoning} />
      {pieces.some(({ tokens }) => tokens.length > 0) ? (
        <Tokens pieces={pieces} label={label} />
      ) : (
        <p class="playground-text">{text}</p>
      )}
      {calls.length > 0 && <Calls calls={calls} onSend={state === 'done' ? onResults : undefined} />}
      {state === 'failed' ? (
        <Problem error={error} onRetry={onRegenerate} />
      ) : (
        <footer class="row">
          <span class="small soft playground-figures">{describeAnswer(answer)}</span>
          {!isOpen(answer) && (
            <>
              <Button kind="quiet" small icon="refresh" onClick={onRegenerate}>
                Regenerate
              </Button>
              <CopyButton text={text} />
            </>
          )}
          <CopyButton text={toCurl(request, location.origin)} label="Copy as curl" />
        </footer>
      )}
    </article>
  );
}

function describeAnswer({ state, finish, tokens, firstMs, totalMs }: Answer): string {
  if (state === 'waiting') return 'Waiting for a worker…';
  if (state === 'generating') return 'Generating…';
  const parts: string[] = [];
  if (state === 'stopped') parts.push('Stopped');
  if (finish === 'length') parts.push('Reached max tokens');
  if (tokens !== null) parts.push(counted(tokens, 'token'));
  if (tokens !== null && totalMs) parts.push(`${compact((tokens * 1000) / totalMs)} tokens/s`);
  if (firstMs !== null) parts.push(`first token after ${duration(firstMs / 1000)}`);
  return parts.join(' · ');
}
