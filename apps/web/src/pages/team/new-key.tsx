import type { ApiKeyParams, CreatedApiKey, Role } from '@graft/client';
import { useState } from 'preact/hooks';
import { Select, TextField } from '../../components/forms/field.tsx';
import { FormDialog } from '../../components/forms/form.tsx';
import { fieldError, otherError, useAction } from '../../data/action.ts';
import { graft } from '../../data/graft.ts';
import { useMe } from '../../data/session.ts';
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
  const [name, setName] = useState('');
  const [role, setRole] = useState<Role>(me.role === 'viewer' ? 'viewer' : 'member');
  const [owner, setOwner] = useState<'person' | 'team'>(me.person === null ? 'team' : 'person');
  const [preset, setPreset] = useState('');
  const [scopes, setScopes] = useState('');
  const [models, setModels] = useState('');
  const [expiry, setExpiry] = useState(expiryOptions[1]![0]);
  const create = useAction({
    run: (form: ApiKeyParams) => graft.team.keys.create(form),
    invalidates: [['keys'], ['audit']],
    quiet: true,
    onDone: onCreated,
  });
  const submit = () => {
    const allowed = preset === 'own' ? scopes : preset;
    create.mutate({
      name: name.trim(),
      role,
      owner,
      // Without scopes the key has its creator's.
      ...(preset !== '' && { scopes: splitWords(allowed) }),
      ...(models.trim() !== '' && { models: splitWords(models) }),
      ...(expiry !== '' && { expires_in: Number(expiry) }),
    });
  };
  return (
    <FormDialog
      title="Create API key"
      action="Create"
      busy={create.isPending}
      error={otherError(create.error, ['name', 'scopes', 'models', 'expires_in'])}
      onSubmit={submit}
      onClose={onClose}
    >
      <TextField
        label="Name"
        autofocus
        maxLength={100}
        value={name}
        onValue={setName}
        error={fieldError(create.error, 'name')}
      />
      <Select
        label="Role"
        value={role}
        onValue={(value) => setRole(value as Role)}
        options={roleOptions.slice(0, ownRoleIndex + 1)}
        hint={roleHint}
      />
      {me.person !== null && me.role === 'admin' && (
        <Select
          label="Owner"
          value={owner}
          onValue={(value) => setOwner(value as 'person' | 'team')}
          options={[
            ['person', 'You: revoked when you leave the team'],
            ['team', 'Team: for services'],
          ]}
        />
      )}
      <Select label="Permissions" value={preset} onValue={setPreset} options={presets} />
      {preset === 'own' && (
        <TextField
          label="Scopes"
          value={scopes}
          onValue={setScopes}
          spellcheck={false}
          error={fieldError(create.error, 'scopes')}
          hint="Separated by spaces, such as files:write jobs:read. Write scopes do not include read scopes."
        />
      )}
      <TextField
        label="Models"
        value={models}
        onValue={setModels}
        spellcheck={false}
        error={fieldError(create.error, 'models')}
        hint="Optional. Allowed model names or prefixes ending in *, separated by spaces."
      />
      <Select
        label="Expires"
        value={expiry}
        onValue={setExpiry}
        options={expiryOptions}
        error={fieldError(create.error, 'expires_in')}
      />
    </FormDialog>
  );
}

const splitWords = (text: string): string[] => text.split(/[\s,]+/).filter(Boolean);
