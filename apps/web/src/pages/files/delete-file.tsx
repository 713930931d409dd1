import type { FileObject } from '@graft/client';
import { Confirm } from '../../components/dialog.tsx';
import { useAction } from '../../data/action.ts';
import { graft } from '../../data/graft.ts';
import { bytes } from '../../text/numbers.ts';

/** Confirms and deletes a file. */
export function DeleteFile({
  file,
  onClose,
  onDeleted,
}: {
  file: FileObject;
  onClose: () => void;
  onDeleted?: () => void;
}) {
  const remove = useAction({
    run: (id: string) => graft.files.delete(id),
    invalidates: [['files']],
    successMessage: () => `${file.filename} deleted.`,
    onDone: () => {
      onClose();
      onDeleted?.();
    },
  });
  return (
    <Confirm
      title="Delete this file?"
      action="Delete file"
      busy={remove.isPending}
      onConfirm={() => remove.mutate(file.id)}
      onClose={onClose}
    >
      <p class="wrap-anywhere">
        <strong>{file.filename}</strong>, {bytes(file.bytes)}. Adapters trained on it are kept, but new jobs
        can no longer use it. This cannot be undone.
      </p>
    </Confirm>
  );
}
