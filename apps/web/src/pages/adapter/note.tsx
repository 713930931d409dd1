import { TextArea } from '../../components/forms/field.tsx';
import { DialogButton, FormDialog, useForm } from '../../components/forms/form.tsx';
import { adapterKeys } from '../../data/adapters.ts';
import { usePermission } from '../../data/session.ts';

interface NoteProps {
  subject: 'adapter' | 'version';
  note: string | null;
  save: (note: string | null) => Promise<unknown>;
}

export function Note(props: NoteProps) {
  const { note, subject } = props;
  const canWrite = usePermission('adapters:write');
  return (
    <div class="note tight">
      {note && <p>{note}</p>}
      {canWrite && (
        <DialogButton kind="quiet" small dialog={<NoteDialog {...props} />}>
          {note ? `Edit ${subject} note` : `Add ${subject} note`}
        </DialogButton>
      )}
    </div>
  );
}

function NoteDialog({ subject, note, save }: NoteProps) {
  const form = useForm({
    initial: { note: note ?? '' },
    run: ({ note }) => save(note.trim() || null),
    invalidates: adapterKeys,
  });
  return (
    <FormDialog title={`Edit ${subject} note`} action="Save" form={form}>
      <TextArea
        label="Note"
        hint="Visible to the team. Leave empty to remove the note."
        rows={6}
        {...form.field('note')}
      />
    </FormDialog>
  );
}
