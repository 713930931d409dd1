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
import { useMay, useMe } from '../../data/session.ts';
import { NewKey } from './new-key.tsx';
import { RotateKey } from './rotate-key.tsx';

/** What programs of the team come in by: an admin sees all keys, others their own. */
export function Keys() {
  const me = useMe();
  const may = useMay('keys:write', 'viewer');
  const isAdmin = me.role === 'admin';
  const keys = usePages(['keys'], () => graft.team.keys.list({ limit: 100 }));
  const [isMaking, setIsMaking] = useState(false);
  const [made, setMade] = useState<CreatedApiKey | null>(null);
  const [rotated, setRotated] = useState<ApiKey | null>(null);
  const [asked, setAsked] = useState<ApiKey | null>(null);
  const [keepsDescendants, setKeepsDescendants] = useState(false);
  const revoke = useAction({
    run: ({ id }: ApiKey) =>
      graft.team.keys.revoke(id, { descendants: keepsDescendants ? 'keep' : 'revoke' }),
    touches: [['keys'], ['invitations'], ['webhooks'], ['audit']],
    said: ({ id, revoked }, { name }) => describeRevocation(id, name, revoked),
    onDone: () => setAsked(null),
  });
  const show = (key: CreatedApiKey) => {
    setIsMaking(false);
    setRotated(null);
    setMade(key);
  };
  /** Whoever rotates a key gets to know its successor. */
  const mayRotate = (key: ApiKey) =>
    key.replaced_by === null && (key.person_id === null || key.person_id === me.person?.id);
  return (
    <section class="section">
      <div class="section-head">
        <p class="soft">
          {isAdmin ? 'All keys of the team.' : 'Your keys.'} A key is shown once, when it is made; nobody can
          look it up.
        </p>
        {may && (
          <Button icon="add" kind="main" onClick={() => setIsMaking(true)}>
            Make a key
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
              Programs, and the command line, come in by a key. Make one for each, so that you can end it
              alone.
            </p>
          </Empty>
        }
        columns={[
          {
            head: 'Name',
            names: true,
            cell: ({ id, name }) => (
              <>
                <span class="beside">
                  <span class="cut" title={name}>
                    {name}
                  </span>
                  {id === me.key?.id && <Badge>this session’s</Badge>}
                </span>
                <code class="cut small soft" title={id}>
                  {id}
                </code>
              </>
            ),
          },
          { head: 'Role', width: '5.5rem', cell: ({ role }) => role },
          { head: 'Of', width: '6.5rem', cell: (key) => ownerOf(key, me.person?.id) },
          {
            head: 'Limits',
            width: '11rem',
            cell: (key) => (
              <span class="cut small" title={limitsOf(key)}>
                {limitsOf(key)}
              </span>
            ),
          },
          {
            head: 'Last used',
            width: '7.5rem',
            cell: (key) => (key.last_used_at === null ? 'never' : <Time at={key.last_used_at} />),
          },
          { head: 'State', width: '8rem', cell: (key) => <State of={key} /> },
          {
            head: <span class="visually-hidden">Actions</span>,
            width: '11rem',
            end: true,
            cell: (key) =>
              may &&
              isLiving(key) && (
                <span class="row end">
                  {mayRotate(key) && (
                    <Button small kind="quiet" onClick={() => setRotated(key)}>
                      Rotate
                    </Button>
                  )}
                  <Button
                    small
                    kind="quiet"
                    onClick={() => {
                      setKeepsDescendants(false);
                      setAsked(key);
                    }}
                  >
                    Revoke
                  </Button>
                </span>
              ),
          },
        ]}
      />
      {isMaking && <NewKey onMade={show} onClose={() => setIsMaking(false)} />}
      {rotated && <RotateKey of={rotated} onMade={show} onClose={() => setRotated(null)} />}
      {made && (
        <Secret title={`The key ${made.name}`} name="The key" text={made.key} onClose={() => setMade(null)}>
          <p>
            Programs find it as <code>GRAFT_API_KEY</code>, and so does the command line after{' '}
            <code>graft login</code>.
          </p>
        </Secret>
      )}
      {asked && (
        <Confirm
          title="Revoke the key?"
          action="Revoke it"
          busy={revoke.isPending}
          onConfirm={() => revoke.mutate(asked)}
          onClose={() => setAsked(null)}
        >
          <p class="words">
            {asked.name} stops working at once, everywhere, for good
            {asked.id === me.key?.id && ', and with it this session'}. So do all keys that it made, and that
            those made, with the invitations that they left open; webhooks that they made are disabled.
          </p>
          <Checkbox
            label="Keep the keys that it made"
            checked={keepsDescendants}
            onChecked={setKeepsDescendants}
          />
        </Confirm>
      )}
    </section>
  );
}

function describeRevocation(id: string, name: string, revoked: Wire.DeletedApiKey['revoked']): string {
  const more: [string[], string][] = [
    [revoked.keys.filter((key) => key !== id), 'keys that it made'],
    [revoked.invitations, 'invitations'],
    [revoked.webhooks, 'webhooks'],
  ];
  const ended = more.filter(([ids]) => ids.length > 0).map(([ids, what]) => `${ids.length} ${what}`);
  const also = ended.length > 0 ? ` Also ended: ${ended.join(', ')}.` : '';
  const left = revoked.kept.length > 0 ? ` ${revoked.kept.length} keys that it made still work.` : '';
  const check =
    revoked.members.length > 0
      ? ` ${revoked.members.length} members joined by its invitations: check them.`
      : '';
  return `The key ${name} works no more.${also}${left}${check}`;
}

const isLiving = ({ revoked_at, expires_at }: ApiKey) =>
  revoked_at === null && (expires_at === null || expires_at > Date.now() / 1000);

const ownerOf = ({ person_id }: ApiKey, me: string | undefined) =>
  person_id === null ? 'the team' : person_id === me ? 'you' : 'a member';

function limitsOf({ scopes, models }: ApiKey): string {
  const told = [scopes?.join(', '), models && `models ${models.join(', ')}`].filter(Boolean);
  return told.join('; ') || 'none';
}

function State({ of: key }: { of: ApiKey }) {
  if (key.revoked_at !== null) return <Badge>revoked</Badge>;
  if (!isLiving(key)) return <Badge>ended</Badge>;
  if (key.expires_at === null) return <Badge tone="good">works</Badge>;
  return (
    <>
      <Badge tone={key.replaced_by === null ? 'good' : 'wait'}>ends</Badge> <Time at={key.expires_at} />
    </>
  );
}
