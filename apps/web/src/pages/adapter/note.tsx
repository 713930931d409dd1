import { useState } from 'preact/hooks';
import { Button } from '../../components/forms/button.tsx';
import { TextArea } from '../../components/forms/field.tsx';
import { FormDialog } from '../../components/forms/form.tsx';
import { fieldError, otherError, useAction } from '../../data/action.ts';
import { usePermission } from '../../data/session.ts';

/** A note, with a dialog to edit it. */
export function Note({
  subject,
  note,
  save,
}: {
  /** What the note describes. */
  subject: 'adapter' | 'version';
  note: string | null;
  /** Resolves when the new note is shown. */
  save: (note: string | null) => Promise<unknown>;
}) {
  const [isOpen, setOpen] = useState(false);
  const canWrite = usePermission('adapters:write');
  return (
    <div class="note">
      {note && <p>{note}</p>}
      {canWrite && (
        <Button kind="quiet" small onClick={() => setOpen(true)}>
          {note ? `Edit ${subject} note` : `Add ${subject} note`}
        </Button>
      )}
      {isOpen && <NoteDialog subject={subject} note={note} save={save} onClose={() => setOpen(false)} />}
    </div>
  );
}

function NoteDialog({ subject, note, save, onClose }: Parameters<typeof Note>[0] & { onClose: () => void }) {
  const [text, setText] = useState(note ?? '');
  const { mutate, isPending, error } = useAction({
    run: (text: string) => save(text.trim() || null),
    invalidates: [],
    quiet: true,
    onDone: onClose,
  });
  return (
    <FormDialog
      title={`Edit ${subject} note`}
      action="Save"
      busy={isPending}
      error={otherError(error, ['note'])}
      onSubmit={() => mutate(text)}
      onClose={onClose}
    >
      <TextArea
        label="Note"
        hint="Visible to the team. Leave empty to remove the note."
        error={fieldError(error, 'note')}
        rows={6}
        value={text}
        onValue={setText}
      />
    </FormDialog>
  );
}
