import { useEffect, useRef, useState } from 'preact/hooks';
import { Cut } from '../../components/cut.tsx';
import { Button } from '../../components/forms/button.tsx';
import { CopyButton } from '../../components/forms/copy-button.tsx';
import { TextArea } from '../../components/forms/field.tsx';
import { Problem } from '../../components/problem.tsx';
import { compact, counted, percent } from '../../text/numbers.ts';
import { duration } from '../../text/times.ts';
import { type Answer, answerText, isOpen, type Piece, type Step, type ToolCall, type Turn } from './chat.ts';
import { toCurl } from './requests.ts';

const sides = ['A', 'B'] as const;

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

/** Calls of an answer. With `onSend` each has a field for its result. */
function Calls({
  calls,
  results,
  onSend,
}: {
  calls: readonly ToolCall[];
  /** Results that were sent, in the order of the calls. */
  results?: readonly string[];
  onSend?: ((results: string[]) => void) | undefined;
}) {
  const [texts, setTexts] = useState<readonly string[]>([]);
  const send = (event: Event) => {
    event.preventDefault();
    onSend?.(calls.map((_, i) => texts[i] ?? ''));
  };
  return (
    <form class="playground-calls" onSubmit={send}>
      {calls.map((call, i) => (
        <div key={call.id} class="playground-call">
          <p>
            <span class="small soft">Tool call</span> <code>{call.name}</code>
          </p>
          <pre>{formatted(call.arguments)}</pre>
          {results && (
            <p class="playground-result">
              <span class="small soft">Result</span> {results[i]}
            </p>
          )}
          {onSend && (
            <TextArea
              label={`Result of ${call.name}`}
              rows={1}
              value={texts[i] ?? ''}
              onValue={(text) => setTexts(Object.assign([...texts], { [i]: text }))}
            />
          )}
        </div>
      ))}
      {onSend && (
        <Button small type="submit">
          {calls.length === 1 ? 'Send result' : 'Send results'}
        </Button>
      )}
    </form>
  );
}

/** Parts of an answer besides its content: earlier steps with their results, and reasoning. */
function Steps({ steps }: { steps: readonly Step[] }) {
  return (
    <>
      {steps.map(({ reasoning, text, calls, results }, i) => (
        <div key={i}>
          <Reasoning text={reasoning} />
          {text && <p class="playground-text">{text}</p>}
          <Calls calls={calls} results={results} />
        </div>
      ))}
    </>
  );
}

const Reasoning = ({ text }: { text: string }) =>
  text === '' ? null : (
    <details class="playground-reasoning" open>
      <summary class="small soft">Reasoning</summary>
      <p class="playground-text">{text}</p>
    </details>
  );

/** Indented, if the text is complete JSON. */
function formatted(text: string): string {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

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
function Tokens({ pieces, label }: { pieces: readonly Piece[]; label: string }) {
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
