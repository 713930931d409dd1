import type { ApiKey, CreatedApiKey, Wire } from '@graft/client';
import { useState } from 'preact/hooks';
import { Badge } from '../../components/badge.tsx';
import { Confirm } from '../../components/dialog.tsx';
import { Empty } from '../../components/empty.tsx';
import { Button } from '../../components/forms/button.tsx';
import { Checkbox } from '../../components/forms/field.tsx';
import { Secret } from '../../components/forms/secret.tsx';
import { Listing } from '../../components/lists/listing.tsx';
import { Time } from '../../components/time.tsx';
import { useAction } from '../../data/action.ts';
import { graft } from '../../data/graft.ts';
import { usePages } from '../../data/pages.ts';
import { useMe, usePermission } from '../../data/session.ts';
import { NewKey } from './new-key.tsx';
import { RotateKey } from './rotate-key.tsx';

/** API keys: admins see all keys of the team, others their own. */
export function Keys() {
  const me = useMe();
  const canEdit = usePermission('keys:write', 'viewer');
  const isAdmin = me.role === 'admin';
  const keys = usePages(['keys'], () => graft.team.keys.list({ limit: 100 }));
  const [isCreating, setIsCreating] = useState(false);
  const [created, setCreated] = useState<CreatedApiKey | null>(null);
  const [rotating, setRotating] = useState<ApiKey | null>(null);
  const [revoking, setRevoking] = useState<ApiKey | null>(null);
  const [keepsDescendants, setKeepsDescendants] = useState(false);
  const revoke = useAction({
    run: ({ id }: ApiKey) =>
      graft.team.keys.revoke(id, { descendants: keepsDescendants ? 'keep' : 'revoke' }),
    invalidates: [['keys'], ['invitations'], ['webhooks'], ['audit']],
    successMessage: ({ id, revoked }, { name }) => describeRevocation(id, name, revoked),
    onDone: () => setRevoking(null),
  });
  const show = (key: CreatedApiKey) => {
    setIsCreating(false);
    setRotating(null);
    setCreated(key);
  };
  /** Rotating reveals the new key, so only its owner may do it. */
  const canRotate = (key: ApiKey) =>
    key.replaced_by === null && (key.person_id === null || key.person_id === me.person?.id);
  return (
    <section class="panel">
      <div class="section-head">
        <p class="soft">
          {isAdmin ? 'All API keys of the team.' : 'Your API keys.'} A key is shown only once, when you create
          it.
        </p>
        {canEdit && (
          <Button icon="add" kind="main" onClick={() => setIsCreating(true)}>
            Create API key
          </Button>
        )}
      </div>
      <Listing
        pages={keys}
        label="API keys"
        minWidth="62rem"
        empty={
          <Empty title="No keys yet">
            <p>
              Programs and the command line authenticate with API keys. Create one for each, so that you can
              revoke them separately.
            </p>
          </Empty>
        }
        columns={[
          {
            head: 'Name',
            isRowHeader: true,
            cell: ({ id, name }) => (
              <>
                <span class="inline">
                  <span class="cut" title={name}>
                    {name}
                  </span>
                  {id === me.key?.id && <Badge>this session</Badge>}
                </span>
                <code class="cut small soft" title={id}>
                  {id}
                </code>
              </>
            ),
          },
          { head: 'Role', width: '5.5rem', cell: ({ role }) => role },
          { head: 'Owner', width: '6.5rem', cell: (key) => describeOwner(key, me.person?.id) },
          {
            head: 'Permissions',
            width: '11rem',
            cell: (key) => (
              <span class="cut small" title={describePermissions(key)}>
                {describePermissions(key)}
              </span>
            ),
          },
          {
            head: 'Last used',
            width: '7.5rem',
            cell: (key) => (key.last_used_at === null ? 'never' : <Time at={key.last_used_at} />),
          },
          { head: 'Status', width: '8rem', cell: (key) => <KeyStatus apiKey={key} /> },
          {
            head: <span class="visually-hidden">Actions</span>,
            width: '11rem',
            end: true,
            cell: (key) =>
              canEdit &&
              isActive(key) && (
                <span class="row end">
                  {canRotate(key) && (
                    <Button small kind="quiet" onClick={() => setRotating(key)}>
                      Rotate
                    </Button>
                  )}
                  <Button
                    small
                    kind="quiet"
                    onClick={() => {
                      setKeepsDescendants(false);
                      setRevoking(key);
                    }}
                  >
                    Revoke
                  </Button>
                </span>
              ),
          },
        ]}
      />
      {isCreating && <NewKey onCreated={show} onClose={() => setIsCreating(false)} />}
      {rotating && <RotateKey apiKey={rotating} onCreated={show} onClose={() => setRotating(null)} />}
      {created && (
        <Secret
          title={`API key ${created.name}`}
          name="API key"
          text={created.key}
          onClose={() => setCreated(null)}
        >
          <p>
            Set it as <code>GRAFT_API_KEY</code> for programs. For the command line, use{' '}
            <code>graft login</code>.
          </p>
        </Secret>
      )}
      {revoking && (
        <Confirm
          title="Revoke API key?"
          action="Revoke key"
          busy={revoke.isPending}
          onConfirm={() => revoke.mutate(revoking)}
          onClose={() => setRevoking(null)}
        >
          <p class="wrap-anywhere">
            {revoking.name} stops working immediately and permanently
            {revoking.id === me.key?.id && ', and this session ends'}. This also revokes the keys and open
            invitations created with it, directly or through those keys, and disables webhooks created with
            them.
          </p>
          <Checkbox
            label="Keep keys created with it"
            checked={keepsDescendants}
            onChecked={setKeepsDescendants}
          />
        </Confirm>
      )}
    </section>
  );
}

function describeRevocation(id: string, name: string, revoked: Wire.DeletedApiKey['revoked']): string {
  const groups: [string[], string][] = [
    [revoked.keys.filter((key) => key !== id), 'keys created with it'],
    [revoked.invitations, 'invitations'],
    [revoked.webhooks, 'webhooks'],
  ];
  const counts = groups.filter(([ids]) => ids.length > 0).map(([ids, what]) => `${ids.length} ${what}`);
  const also = counts.length > 0 ? ` Also revoked: ${counts.join(', ')}.` : '';
  const kept = revoked.kept.length > 0 ? ` ${revoked.kept.length} keys created with it still work.` : '';
  const check =
    revoked.members.length > 0
      ? ` Check the ${revoked.members.length} members who joined with its invitations.`
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
