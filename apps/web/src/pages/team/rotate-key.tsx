import type { ApiKey, CreatedApiKey } from '@graft/client';
import { Select } from '../../components/forms/field.tsx';
import { FormDialog, useForm } from '../../components/forms/form.tsx';
import { graft } from '../../data/graft.ts';

/** Creates a key's successor with the same permissions. */
export function RotateKey({
  apiKey: { id, name },
  onCreated,
  onClose,
}: {
  apiKey: ApiKey;
  onCreated: (key: CreatedApiKey) => void;
  onClose: () => void;
}) {
  const form = useForm({
    initial: { overlap: '3600' },
    run: ({ overlap }) => graft.team.keys.rotate(id, { overlap: Number(overlap) }),
    invalidates: [['keys'], ['audit']],
    onDone: (key) => {
      onClose();
      onCreated(key);
    },
  });
  return (
    <FormDialog title="Rotate API key" action="Rotate" form={form} onClose={onClose}>
      <p class="wrap-anywhere">
        Creates a new key with the permissions of {name}. Both keys work until the old one expires.
      </p>
      <Select
        label="Old key expires"
        options={{ 0: 'Immediately', 3600: 'In 1 hour', 86400: 'In 1 day', 604800: 'In 7 days' }}
        {...form.field('overlap')}
      />
    </FormDialog>
  );
}
