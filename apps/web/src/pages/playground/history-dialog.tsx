import { useState } from 'preact/hooks';
import { Dialog } from '../../components/dialog.tsx';
import { Button, IconButton } from '../../components/forms/button.tsx';
import { Time } from '../../components/time.tsx';
import { forgetTalk, type KeptTalk, readHistory } from './history.ts';

/** The talks that this browser keeps. */
export function HistoryDialog({
  of,
  onOpen,
  onClose,
}: {
  /** Key of the history. */
  of: string;
  onOpen: (talk: KeptTalk) => void;
  onClose: () => void;
}) {
  const [talks, setTalks] = useState(() => readHistory(of));
  const forget = (id: string) => {
    forgetTalk(of, id);
    setTalks(readHistory(of));
  };
  return (
    <Dialog title="History" onClose={onClose}>
      <p class="small soft">It is kept in this browser alone, until you sign out.</p>
      {talks.length === 0 ? (
        <p>Nothing yet: what you ask stands here.</p>
      ) : (
        <ul class="playground-history" aria-label="Talks">
          {talks.map((talk) => (
            <li key={talk.id}>
              <Button kind="quiet" onClick={() => onOpen(talk)}>
                <span class="cut" title={talk.turns[0]?.prompt}>
                  {talk.turns[0]?.prompt ?? ''}
                </span>
                <span class="small soft">
                  <Time at={talk.at} />
                </span>
              </Button>
              <IconButton label="Forget it" icon="close" small onClick={() => forget(talk.id)} />
            </li>
          ))}
        </ul>
      )}
    </Dialog>
  );
}
