import { useMutation } from '@tanstack/preact-query';
import { useState } from 'preact/hooks';
import { Dialog } from '../../components/dialog.tsx';
import { Button } from '../../components/forms/button.tsx';
import { TextArea } from '../../components/forms/field.tsx';
import { wordsOf } from '../../components/problem.tsx';
import { useMay } from '../../data/session.ts';

/** What people write of a thing, and a way to write it. */
export function Note({
  of,
  note,
  save,
}: {
  /** As in "the adapter". */
  of: string;
  note: string | null;
  /** Resolves when what is shown is the new one. */
  save: (note: string | null) => Promise<unknown>;
}) {
  const [isOpen, setOpen] = useState(false);
  const mayWrite = useMay('adapters:write');
  return (
    <div class="note">
      {note && <p>{note}</p>}
      {mayWrite && (
        <Button kind="quiet" small onClick={() => setOpen(true)}>
          {note ? `Edit the note of ${of}` : `Write a note of ${of}`}
        </Button>
      )}
      {isOpen && <Edit of={of} note={note} save={save} onClose={() => setOpen(false)} />}
    </div>
  );
}

function Edit({ of, note, save, onClose }: Parameters<typeof Note>[0] & { onClose: () => void }) {
  const [text, setText] = useState(note ?? '');
  const { mutate, isPending, error } = useMutation({
    mutationFn: (text: string) => save(text.trim() || null),
    onSuccess: onClose,
  });
  return (
    <Dialog title={`The note of ${of}`} onClose={onClose}>
      <form
        class="stack"
        onSubmit={(event) => {
          event.preventDefault();
          mutate(text);
        }}
      >
        <TextArea
          label="Note"
          hint="For whoever comes to it later. Empty, it is removed."
          error={error && wordsOf(error).text}
          rows={6}
          value={text}
          onValue={setText}
        />
        <footer class="row dialog-actions">
          <Button onClick={onClose}>Leave it</Button>
          <Button kind="main" type="submit" busy={isPending}>
            Save
          </Button>
        </footer>
      </form>
    </Dialog>
  );
}
