import { useState } from 'preact/hooks';
import { Button } from '../../components/forms/button.tsx';
import { TextArea } from '../../components/forms/field.tsx';
import { FormDialog } from '../../components/forms/form.tsx';
import { faultOf, restOf, useAction } from '../../data/action.ts';
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
  const { mutate, isPending, error } = useAction({
    run: (text: string) => save(text.trim() || null),
    touches: [],
    quiet: true,
    onDone: onClose,
  });
  return (
    <FormDialog
      title={`The note of ${of}`}
      action="Save"
      busy={isPending}
      error={restOf(error, ['note'])}
      onSubmit={() => mutate(text)}
      onClose={onClose}
    >
      <TextArea
        label="Note"
        hint="For whoever comes to it later. Empty, it is removed."
        error={faultOf(error, 'note')}
        rows={6}
        value={text}
        onValue={setText}
      />
    </FormDialog>
  );
}
