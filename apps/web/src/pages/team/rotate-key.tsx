import type { ApiKey, CreatedApiKey } from '@graft/client';
import { useState } from 'preact/hooks';
import { Select } from '../../components/forms/field.tsx';
import { FormDialog } from '../../components/forms/form.tsx';
import { useAction } from '../../data/action.ts';
import { graft } from '../../data/graft.ts';

/** Makes the successor of a key, with the same rights. */
export function RotateKey({
  of: key,
  onMade,
  onClose,
}: {
  of: ApiKey;
  onMade: (key: CreatedApiKey) => void;
  onClose: () => void;
}) {
  const [overlap, setOverlap] = useState('3600');
  const rotate = useAction({
    run: (seconds: number) => graft.team.keys.rotate(key.id, { overlap: seconds }),
    touches: [['keys'], ['audit']],
    quiet: true,
    onDone: onMade,
  });
  return (
    <FormDialog
      title="Rotate the key"
      action="Make its successor"
      busy={rotate.isPending}
      error={rotate.error}
      onSubmit={() => rotate.mutate(Number(overlap))}
      onClose={onClose}
    >
      <p class="words">The successor of {key.name} has the same rights. Until the old one ends, both work.</p>
      <Select
        label="The old key ends"
        value={overlap}
        onValue={setOverlap}
        options={[
          ['0', 'At once'],
          ['3600', 'In an hour'],
          ['86400', 'In a day'],
          ['604800', 'In a week'],
        ]}
      />
    </FormDialog>
  );
}
