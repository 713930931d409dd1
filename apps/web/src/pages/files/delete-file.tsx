import type { FileObject } from '@graft/client';
import { useMutation, useQueryClient } from '@tanstack/preact-query';
import { Confirm } from '../../components/dialog.tsx';
import { toast, toastError } from '../../components/toast.tsx';
import { graft } from '../../data/graft.ts';
import { bytes } from '../../text/numbers.ts';

/** Asks, and deletes; `onDeleted` goes elsewhere. */
export function DeleteFile({
  file,
  onClose,
  onDeleted,
}: {
  file: FileObject;
  onClose: () => void;
  onDeleted?: () => void;
}) {
  const cache = useQueryClient();
  const remove = useMutation({
    mutationFn: (id: string) => graft.files.delete(id),
    onSuccess: async () => {
      toast(`${file.filename} is deleted.`);
      onClose();
      onDeleted?.();
      await cache.invalidateQueries({ queryKey: ['files'] });
    },
    onError: toastError,
  });
  return (
    <Confirm
      title="Delete this file?"
      action="Delete the file"
      busy={remove.isPending}
      onConfirm={() => remove.mutate(file.id)}
      onClose={onClose}
    >
      <p class="files-name">
        <strong>{file.filename}</strong>, {bytes(file.bytes)}. What was trained on it stays; it cannot be
        trained on again, and it cannot be brought back.
      </p>
    </Confirm>
  );
}
