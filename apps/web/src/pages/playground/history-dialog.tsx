import { useState } from 'preact/hooks';
import { Cut } from '../../components/cut.tsx';
import { Dialog, useClose } from '../../components/dialog.tsx';
import { Button, IconButton } from '../../components/forms/button.tsx';
import { Time } from '../../components/time.tsx';
import { deleteChat, readHistory, type StoredChat } from './history.ts';

export function HistoryDialog({
  storageKey,
  onOpen,
}: {
  storageKey: string;
  onOpen: (chat: StoredChat) => void;
}) {
  const close = useClose();
  const [chats, setChats] = useState(() => readHistory(storageKey));
  const remove = (id: string) => {
    deleteChat(storageKey, id);
    setChats(readHistory(storageKey));
  };
  return (
    <Dialog title="History">
      <p class="small soft">Stored only in this browser, until you sign out.</p>
      {chats.length === 0 ? (
        <p>No chats yet.</p>
      ) : (
        <ul class="playground-history" aria-label="Chats">
          {chats.map((chat) => (
            <li key={chat.id}>
              <Button
                kind="quiet"
                onClick={() => {
                  close();
                  onOpen(chat);
                }}
              >
                <Cut text={chat.turns[0]?.prompt} />
                <span class="small soft">
                  <Time at={chat.at} />
                </span>
              </Button>
              <IconButton label="Delete chat" icon="close" small onClick={() => remove(chat.id)} />
            </li>
          ))}
        </ul>
      )}
    </Dialog>
  );
}
