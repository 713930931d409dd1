import { useState } from 'preact/hooks';
import { Button } from '../../components/forms/button.tsx';
import { TextArea } from '../../components/forms/field.tsx';
import type { Kind } from './talk.ts';

/** Where a prompt is written. Enter sends it, with Shift it is a new line; a plain text is sent by the button alone. */
export function Composer({
  kind,
  fault,
  isWriting,
  onSend,
  onStop,
}: {
  kind: Kind;
  /** Why nothing can be sent; null: it can. */
  fault: string | null;
  isWriting: boolean;
  onSend: (prompt: string) => void;
  onStop: () => void;
}) {
  const [text, setText] = useState('');
  const [isRefused, setRefused] = useState(false);
  const send = (event: Event) => {
    event.preventDefault();
    if (isWriting || text.trim() === '') return;
    setRefused(fault !== null);
    if (fault !== null) return;
    onSend(text);
    if (kind === 'chat') setText('');
  };
  return (
    <form class="playground-composer" onSubmit={send}>
      <TextArea
        label={kind === 'chat' ? 'Message' : 'Text to go on from'}
        bare
        placeholder={kind === 'chat' ? 'A message' : 'A text that is gone on from'}
        rows={kind === 'chat' ? 2 : 5}
        value={text}
        error={isRefused ? fault : null}
        onValue={setText}
        onKeyDown={(event) => {
          if (kind === 'chat' && event.key === 'Enter' && !event.shiftKey && !event.isComposing) send(event);
        }}
      />
      {isWriting ? (
        <Button icon="cancel" onClick={onStop}>
          Stop
        </Button>
      ) : (
        <Button kind="main" type="submit" disabled={text.trim() === ''}>
          Send
        </Button>
      )}
    </form>
  );
}
