import type { ApiKey, CreatedApiKey } from '@graft/client';
import { useState } from 'preact/hooks';
import { Select } from '../../components/forms/field.tsx';
import { FormDialog } from '../../components/forms/form.tsx';
import { useAction } from '../../data/action.ts';
import { graft } from '../../data/graft.ts';

/** Creates a key's successor with the same permissions. */
export function RotateKey({
  apiKey,
  onCreated,
  onClose,
}: {
  apiKey: ApiKey;
  onCreated: (key: CreatedApiKey) => void;
  onClose: () => void;
}) {
  const [overlap, setOverlap] = useState('3600');
  const rotate = useAction({
    run: (seconds: number) => graft.team.keys.rotate(apiKey.id, { overlap: seconds }),
    invalidates: [['keys'], ['audit']],
    quiet: true,
    onDone: onCreated,
  });
  return (
    <FormDialog
      title="Rotate API key"
      action="Rotate"
      busy={rotate.isPending}
      error={rotate.error}
      onSubmit={() => rotate.mutate(Number(overlap))}
      onClose={onClose}
    >
      <p class="wrap-anywhere">
        Creates a new key with the permissions of {apiKey.name}. Both keys work until the old one expires.
      </p>
      <Select
        label="Old key expires"
        value={overlap}
        onValue={setOverlap}
        options={[
          ['0', 'Immediately'],
          ['3600', 'In 1 hour'],
          ['86400', 'In 1 day'],
          ['604800', 'In 7 days'],
        ]}
      />
    </FormDialog>
  );
}
