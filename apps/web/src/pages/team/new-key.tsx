import type { ApiKeyParams, CreatedApiKey, Role } from '@graft/client';
import { useState } from 'preact/hooks';
import { Select, TextField } from '../../components/forms/field.tsx';
import { FormDialog } from '../../components/forms/form.tsx';
import { faultOf, restOf, useAction } from '../../data/action.ts';
import { graft } from '../../data/graft.ts';
import { useMe } from '../../data/session.ts';
import { keyEnds, roleHint, roleOptions } from './roles.ts';

/** What keys are made for; `own` is what somebody writes, `''` all that the role may. */
const purposes: readonly (readonly [string, string])[] = [
  ['', 'Everything that its role may'],
  ['completions:write models:read', 'Call models'],
  ['files:read files:write jobs:read jobs:write models:read adapters:read', 'Train, and take adapters'],
  ['files:write', 'Only upload files'],
  ['own', 'Chosen scopes'],
];

/** A key never has more than whoever makes it. */
export function NewKey({ onMade, onClose }: { onMade: (key: CreatedApiKey) => void; onClose: () => void }) {
  const me = useMe();
  const mine = roleOptions.findIndex(([role]) => role === me.role);
  const [name, setName] = useState('');
  const [role, setRole] = useState<Role>(me.role === 'viewer' ? 'viewer' : 'member');
  const [owner, setOwner] = useState<'person' | 'team'>(me.person === null ? 'team' : 'person');
  const [purpose, setPurpose] = useState('');
  const [scopes, setScopes] = useState('');
  const [models, setModels] = useState('');
  const [ends, setEnds] = useState(keyEnds[1]![0]);
  const make = useAction({
    run: (form: ApiKeyParams) => graft.team.keys.create(form),
    touches: [['keys'], ['audit']],
    quiet: true,
    onDone: onMade,
  });
  const submit = () => {
    const allowed = purpose === 'own' ? scopes : purpose;
    make.mutate({
      ...{ name: name.trim(), role, owner },
      // Absent: what whoever makes it is limited to.
      ...(purpose !== '' && { scopes: wordsIn(allowed) }),
      ...(models.trim() !== '' && { models: wordsIn(models) }),
      ...(ends !== '' && { expires_in: Number(ends) }),
    });
  };
  return (
    <FormDialog
      title="Make a key"
      action="Make the key"
      busy={make.isPending}
      error={restOf(make.error, ['name', 'scopes', 'models', 'expires_in'])}
      onSubmit={submit}
      onClose={onClose}
    >
      <TextField
        label="What is it for?"
        autofocus
        maxLength={100}
        value={name}
        onValue={setName}
        error={faultOf(make.error, 'name')}
      />
      <Select
        label="Role"
        value={role}
        onValue={(value) => setRole(value as Role)}
        options={roleOptions.slice(0, mine + 1)}
        hint={roleHint}
      />
      {me.person !== null && me.role === 'admin' && (
        <Select
          label="Whose is it?"
          value={owner}
          onValue={(value) => setOwner(value as 'person' | 'team')}
          options={[
            ['person', 'Mine: it ends when I leave the team'],
            ['team', 'The team’s: for machines'],
          ]}
        />
      )}
      <Select label="It may" value={purpose} onValue={setPurpose} options={purposes} />
      {purpose === 'own' && (
        <TextField
          label="Scopes"
          value={scopes}
          onValue={setScopes}
          spellcheck={false}
          error={faultOf(make.error, 'scopes')}
          hint="As files:write jobs:read, with spaces between. Writing does not include reading."
        />
      )}
      <TextField
        label="Only these models"
        value={models}
        onValue={setModels}
        spellcheck={false}
        error={faultOf(make.error, 'models')}
        hint="Names, or beginnings with a * behind, with spaces between. Empty: all."
      />
      <Select
        label="It ends"
        value={ends}
        onValue={setEnds}
        options={keyEnds}
        error={faultOf(make.error, 'expires_in')}
      />
    </FormDialog>
  );
}

const wordsIn = (text: string): string[] => text.split(/[\s,]+/).filter(Boolean);
