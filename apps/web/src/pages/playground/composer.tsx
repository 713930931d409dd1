import { useState } from 'preact/hooks';
import { Button } from '../../components/forms/button.tsx';
import { TextArea } from '../../components/forms/field.tsx';
import type { Kind } from './chat.ts';

interface ComposerProps {
  kind: Kind;
  /** Why the prompt cannot be sent; null: it can. */
  fault: string | null;
  isGenerating: boolean;
  onSend: (prompt: string) => void;
  onStop: () => void;
}

/** The prompt input. Enter sends a chat message, Shift+Enter adds a line; plain text is sent only by the button. */
export function Composer({ kind, fault, isGenerating, onSend, onStop }: ComposerProps) {
  const [text, setText] = useState('');
  const [showsFault, setShowsFault] = useState(false);
  const send = (event: Event) => {
    event.preventDefault();
    if (isGenerating || text.trim() === '') return;
    setShowsFault(fault !== null);
    if (fault !== null) return;
    onSend(text);
    if (kind === 'chat') setText('');
  };
  return (
    <form class="playground-composer" onSubmit={send}>
      <TextArea
        label={kind === 'chat' ? 'Message' : 'Text to complete'}
        hideLabel
        placeholder={kind === 'chat' ? 'Message' : 'Text to complete'}
        rows={kind === 'chat' ? 2 : 5}
        value={text}
        error={showsFault ? fault : null}
        onValue={setText}
        onKeyDown={(event) => {
          if (kind === 'chat' && event.key === 'Enter' && !event.shiftKey && !event.isComposing) send(event);
        }}
      />
      {isGenerating ? (
        <Button icon="close" onClick={onStop}>
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
