import { useState } from 'preact/hooks';
import { Button } from '../../components/forms/button.tsx';
import { TextArea } from '../../components/forms/field.tsx';
import type { Step, ToolCall } from './chat.ts';

/** Calls of an answer. With `onSend` each has a field for its result. */
export function Calls({
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

/** What an answer contains besides its content: earlier steps with their results, and reasoning. */
export function Steps({ steps }: { steps: readonly Step[] }) {
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

export const Reasoning = ({ text }: { text: string }) =>
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
