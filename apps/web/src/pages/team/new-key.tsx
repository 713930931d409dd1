import type { CreatedApiKey, Role } from '@graft/client';
import { Select, TextField } from '../../components/forms/field.tsx';
import { FormDialog, useForm } from '../../components/forms/form.tsx';
import { graft } from '../../data/graft.ts';
import { useMe } from '../../data/session.ts';
import { splitWords } from '../../text/words.ts';
import { expiryOptions, roleHint, roleOptions } from './roles.ts';

/** Presets of scopes; '' is all scopes of the role, 'own' a custom list. */
const presets: readonly (readonly [string, string])[] = [
  ['', 'All permissions of the role'],
  ['completions:write models:read', 'Call models'],
  ['files:read files:write jobs:read jobs:write models:read adapters:read', 'Train and download adapters'],
  ['files:write', 'Upload files only'],
  ['own', 'Custom scopes'],
];

/** Form for a new API key, which never has more permissions than its creator. */
export function NewKey({
  onCreated,
  onClose,
}: {
  onCreated: (key: CreatedApiKey) => void;
  onClose: () => void;
}) {
  const me = useMe();
  const ownRoleIndex = roleOptions.findIndex(([role]) => role === me.role);
  const { field, values, ...form } = useForm({
    initial: {
      name: '',
      role: (me.role === 'viewer' ? 'viewer' : 'member') as Role,
      owner: (me.person === null ? 'team' : 'person') as 'person' | 'team',
      preset: '',
      scopes: '',
      models: '',
      expires_in: expiryOptions[1]![0],
    },
    run: ({ name, role, owner, preset, scopes, models, expires_in }) =>
      graft.team.keys.create({
        name: name.trim(),
        role,
        owner,
        // Without scopes the key has its creator's.
        ...(preset !== '' && { scopes: splitWords(preset === 'own' ? scopes : preset) }),
        ...(models.trim() !== '' && { models: splitWords(models) }),
        ...(expires_in !== '' && { expires_in: Number(expires_in) }),
      }),
    invalidates: [['keys'], ['audit']],
    onDone: (key) => {
      onClose();
      onCreated(key);
    },
  });
  return (
    <FormDialog title="Create API key" action="Create" form={form} onClose={onClose}>
      <TextField label="Name" autofocus maxLength={100} {...field('name')} />
      <Select
        label="Role"
        options={roleOptions.slice(0, ownRoleIndex + 1)}
        hint={roleHint}
        {...field('role')}
      />
      {me.person !== null && me.role === 'admin' && (
        <Select
          label="Owner"
          options={{ person: 'You: revoked when you leave the team', team: 'Team: for services' }}
          {...field('owner')}
        />
      )}
      <Select label="Permissions" options={presets} {...field('preset')} />
      {values.preset === 'own' && (
        <TextField
          label="Scopes"
          spellcheck={false}
          hint="Separated by spaces, such as files:write jobs:read. Write scopes do not include read scopes."
          {...field('scopes')}
        />
      )}
      <TextField
        label="Models"
        spellcheck={false}
        hint="Optional. Allowed model names or prefixes ending in *, separated by spaces."
        {...field('models')}
      />
      <Select label="Expires" options={expiryOptions} {...field('expires_in')} />
    </FormDialog>
  );
}
