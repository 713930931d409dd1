import type { FileObject } from '@graft/client';
import type { ButtonProps } from '../../components/forms/button.tsx';
import { ConfirmButton } from '../../components/forms/form.tsx';
import { graft } from '../../data/graft.ts';
import { bytes } from '../../text/numbers.ts';

export const DeleteFile = ({
  file: { id, filename, bytes: size },
  onDone = () => {},
  ...button
}: Omit<ButtonProps, 'onClick'> & { file: FileObject; onDone?: () => void }) => (
  <ConfirmButton
    button={button}
    title="Delete this file?"
    action="Delete file"
    run={() => graft.files.delete(id)}
    invalidates={[['files']]}
    successMessage={() => `${filename} deleted.`}
    onDone={onDone}
  >
    <p class="wrap-anywhere">
      <strong>{filename}</strong>, {bytes(size)}. Adapters trained on it are kept, but new jobs can no longer
      use it. This cannot be undone.
    </p>
  </ConfirmButton>
);
