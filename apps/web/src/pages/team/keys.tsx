import type { ApiKey, CreatedApiKey, Role, Wire } from '@graft/client';
import { useQuery } from '@tanstack/preact-query';
import { useState } from 'preact/hooks';
import { Badge } from '../../components/badge.tsx';
import { Cut, NameAndId } from '../../components/cut.tsx';
import { Opened } from '../../components/dialog.tsx';
import { Checkbox, Select, TextField } from '../../components/forms/field.tsx';
import { Confirm, DialogButton, FormDialog, useForm } from '../../components/forms/form.tsx';
import { Secret } from '../../components/forms/secret.tsx';
import { Listing } from '../../components/lists/listing.tsx';
import { Time } from '../../components/time.tsx';
import { graft } from '../../data/graft.ts';
import { usePages } from '../../data/pages.ts';
import { useMe, usePermission } from '../../data/session.ts';
import { counted } from '../../text/numbers.ts';
import { splitWords } from '../../text/words.ts';
import { expiryOptions, roleHint, roleOptions } from './roles.ts';

/** API keys: admins see all keys of the team, others their own. */
export function Keys() {
  const me = useMe();
  const canEdit = usePermission('keys:write', 'viewer');
  const [created, setCreated] = useState<CreatedApiKey | null>(null);
  /** Rotating reveals the new key, so only its owner may do it. */
  const canRotate = (key: ApiKey) =>
    key.replaced_by === null && (key.person_id === null || key.person_id === me.person?.id);
  return (
    <section class="panel">
      <div class="section-head">
        <p class="soft">
          {me.role === 'admin' ? 'All API keys of the team.' : 'Your API keys.'} A key is shown only once,
          when you create it.
        </p>
        {canEdit && (
          <DialogButton icon="add" kind="main" dialog={<NewKey onCreated={setCreated} />}>
            Create API key
          </DialogButton>
        )}
      </div>
      <Listing
        pages={usePages(['keys'], () => graft.team.keys.list({ limit: 100 }))}
        label="API keys"
        minWidth="62rem"
        emptyTitle="No keys yet"
        emptyText="Programs and the command line authenticate with API keys. Create one for each, so that you can revoke them separately."
        columns={[
          {
            head: 'Name',
            cell: (key) => (
              <NameAndId {...key}>{key.id === me.key?.id && <Badge>this session</Badge>}</NameAndId>
            ),
          },
          { head: 'Role', width: '5.5rem', cell: ({ role }) => role },
          { head: 'Owner', width: '6.5rem', cell: (key) => describeOwner(key, me.person?.id) },
          {
            head: 'Permissions',
            width: '11rem',
            cell: (key) => <Cut text={describePermissions(key)} class="small" />,
          },
          {
            head: 'Last used',
            width: '7.5rem',
            cell: (key) => (key.last_used_at === null ? 'never' : <Time at={key.last_used_at} />),
          },
          { head: 'Status', width: '8rem', cell: (key) => <KeyStatus apiKey={key} /> },
          {
            width: '11rem',
            actions: (key) =>
              canEdit &&
              isActive(key) && [
                canRotate(key) && {
                  text: 'Rotate',
                  dialog: <RotateKey apiKey={key} onCreated={setCreated} />,
                },
                { text: 'Revoke', dialog: <RevokeKey apiKey={key} isOwn={key.id === me.key?.id} /> },
              ],
          },
        ]}
      />
      {created && (
        <Opened onClose={() => setCreated(null)}>
          <Secret title={`API key ${created.name}`} name="API key" text={created.key}>
            <p>
              Set it as <code>GRAFT_API_KEY</code> for programs. For the command line, use{' '}
              <code>graft login</code>.
            </p>
          </Secret>
        </Opened>
      )}
    </section>
  );
}

function RevokeKey({ apiKey: { id, name }, isOwn }: { apiKey: ApiKey; isOwn: boolean }) {
  const [keepsDescendants, setKeepsDescendants] = useState(false);
  const [keepsExits, setKeepsExits] = useState(false);
  const params = {
    descendants: keepsDescendants ? 'keep' : 'revoke',
    exits: keepsExits ? 'keep' : 'end',
  } as const;
  const preview = useQuery({
    queryKey: ['keys', id, 'revocation', params],
    queryFn: () => graft.team.keys.previewRevocation(id, params),
  });
  return (
    <Confirm
      title="Revoke API key?"
      action="Revoke key"
      run={() => graft.team.keys.revoke(id, params)}
      invalidates={[['keys'], ['invitations'], ['webhooks'], ['integrations'], ['adapter'], ['audit']]}
      successMessage={({ revoked }) => describeRevocation(id, name, revoked)}
    >
      <p class="wrap-anywhere">
        {name} stops working immediately and permanently{isOwn && ', and this session ends'}. This also
        revokes the keys and open invitations created with it, directly or through those keys, and disables
        what they made that sends to other servers: webhooks, integrations, deploy targets, publications.
      </p>
      <p role="status">
        {preview.data ? describeEffect(id, preview.data.revoked) : 'Checking what this ends…'}
      </p>
      <Checkbox
        label="Keep keys created with it"
        checked={keepsDescendants}
        onChecked={setKeepsDescendants}
      />
      <Checkbox label="Keep what sends to other servers" checked={keepsExits} onChecked={setKeepsExits} />
    </Confirm>
  );
}

type Revoked = Wire.DeletedApiKey['revoked'];

function countsOf(id: string, revoked: Revoked): string[] {
  const groups: [string[], string][] = [
    [revoked.keys.filter((key) => key !== id), 'keys created with it'],
    [revoked.invitations, 'invitations'],
    [revoked.webhooks, 'webhooks'],
    [revoked.integrations, 'integrations'],
    [revoked.deploy_targets, 'deploy targets'],
    [revoked.publications, 'publications'],
  ];
  return groups.filter(([ids]) => ids.length > 0).map(([ids, what]) => `${ids.length} ${what}`);
}

function describeEffect(id: string, revoked: Revoked): string {
  const counts = countsOf(id, revoked);
  const ends = counts.length > 0 ? `Also ends: ${counts.join(', ')}.` : 'Ends nothing else.';
  const left = revoked.exits_left.length;
  return left > 0 ? `${ends} Still sending to other servers: ${left}.` : ends;
}

function describeRevocation(id: string, name: string, revoked: Revoked): string {
  const counts = countsOf(id, revoked);
  const also = counts.length > 0 ? ` Also ended: ${counts.join(', ')}.` : '';
  const { length } = revoked.kept;
  const kept =
    length > 0 ? ` ${counted(length, 'key')} created with it still ${length === 1 ? 'works' : 'work'}.` : '';
  const check =
    revoked.members.length > 0
      ? ` Check the ${counted(revoked.members.length, 'member')} who joined with its invitations.`
      : '';
  return `API key ${name} revoked.${also}${kept}${check}`;
}

const isActive = ({ revoked_at, expires_at }: ApiKey) =>
  revoked_at === null && (expires_at === null || expires_at > Date.now() / 1000);

const describeOwner = ({ person_id }: ApiKey, me: string | undefined) =>
  person_id === null ? 'the team' : person_id === me ? 'you' : 'a member';

function describePermissions({ scopes, models }: ApiKey): string {
  const parts = [scopes?.join(', '), models && `models ${models.join(', ')}`].filter(Boolean);
  return parts.join('; ') || 'all';
}

function KeyStatus({ apiKey: key }: { apiKey: ApiKey }) {
  if (key.revoked_at !== null) return <Badge>revoked</Badge>;
  if (!isActive(key)) return <Badge>expired</Badge>;
  if (key.expires_at === null) return <Badge tone="good">active</Badge>;
  return (
    <>
      <Badge tone={key.replaced_by === null ? 'good' : 'wait'}>expires</Badge> <Time at={key.expires_at} />
    </>
  );
}

/** Creates a key's successor with the same permissions. */
function RotateKey({
  apiKey: { id, name },
  onCreated,
}: {
  apiKey: ApiKey;
  onCreated: (key: CreatedApiKey) => void;
}) {
  const form = useForm({
    initial: { overlap: '3600' },
    run: ({ overlap }) => graft.team.keys.rotate(id, { overlap: Number(overlap) }),
    invalidates: [['keys'], ['audit']],
    onDone: onCreated,
  });
  return (
    <FormDialog title="Rotate API key" action="Rotate" form={form}>
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

/** Presets of scopes; '' is all scopes of the role, 'own' a custom list. */
const presets: readonly (readonly [string, string])[] = [
  ['', 'All permissions of the role'],
  ['completions:write models:read', 'Call models'],
  ['files:read files:write jobs:read jobs:write models:read adapters:read', 'Train and download adapters'],
  ['files:write', 'Upload files only'],
  ['own', 'Custom scopes'],
];

/** Form for a new API key, which never has more permissions than its creator. */
function NewKey({ onCreated }: { onCreated: (key: CreatedApiKey) => void }) {
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
    onDone: onCreated,
  });
  return (
    <FormDialog title="Create API key" action="Create" form={form}>
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
