import type { Invitation, Role } from '@graft/client';
import { useState } from 'preact/hooks';
import { Badge } from '../../components/badge.tsx';
import { Confirm } from '../../components/dialog.tsx';
import { Empty } from '../../components/empty.tsx';
import { Button } from '../../components/forms/button.tsx';
import { Select } from '../../components/forms/field.tsx';
import { Listing } from '../../components/lists/listing.tsx';
import { Time } from '../../components/time.tsx';
import { useAction } from '../../data/action.ts';
import { graft } from '../../data/graft.ts';
import { usePages } from '../../data/pages.ts';
import { useMay } from '../../data/session.ts';
import { InvitationDialog } from './invitation-dialog.tsx';
import { roleHint, roleOptions } from './roles.ts';

const touches = [['invitations'], ['audit']];

/** Links that make people members. */
export function Invitations() {
  const may = useMay('team:write', 'admin');
  const invitations = usePages(['invitations'], () => graft.team.invitations.list({ limit: 50 }));
  const [isInviting, setIsInviting] = useState(false);
  const [asked, setAsked] = useState<Invitation | null>(null);
  const revoke = useAction({
    run: ({ id }: Invitation) => graft.team.invitations.revoke(id),
    touches,
    said: () => 'The link works no more.',
    onDone: () => setAsked(null),
  });
  return (
    <section class="section">
      <div class="section-head">
        <h2>Invitations</h2>
        {may && (
          <Button icon="add" onClick={() => setIsInviting(true)}>
            Invite somebody
          </Button>
        )}
      </div>
      <Listing
        pages={invitations}
        label="Invitations"
        minWidth="44rem"
        empty={
          <Empty title="Nobody was invited">
            <p>An invitation is a link that works once. Give it to one person, over a safe channel.</p>
          </Empty>
        }
        columns={[
          {
            head: 'For',
            names: true,
            cell: ({ email }) => (
              <span class="cut" title={email ?? 'Whoever has the link'}>
                {email ?? 'Whoever has the link'}
              </span>
            ),
          },
          { head: 'Role', width: '7rem', cell: ({ role }) => role },
          { head: 'Made', width: '8rem', cell: (row) => <Time at={row.created_at} /> },
          { head: 'State', width: '12rem', cell: (row) => <State of={row} /> },
          {
            head: <span class="visually-hidden">Actions</span>,
            width: '7rem',
            end: true,
            cell: (row) =>
              may &&
              isOpen(row) && (
                <Button small kind="quiet" onClick={() => setAsked(row)}>
                  Revoke
                </Button>
              ),
          },
        ]}
      />
      {isInviting && <Invite onClose={() => setIsInviting(false)} />}
      {asked && (
        <Confirm
          title="Revoke the invitation?"
          action="Revoke it"
          busy={revoke.isPending}
          onConfirm={() => revoke.mutate(asked)}
          onClose={() => setAsked(null)}
        >
          <p>Its link stops working at once. You can make another.</p>
        </Confirm>
      )}
    </section>
  );
}

const isOpen = (row: Invitation) =>
  row.accepted_at === null && row.revoked_at === null && row.expires_at > Date.now() / 1000;

function State({ of: row }: { of: Invitation }) {
  if (row.accepted_at !== null) return <Badge tone="good">accepted</Badge>;
  if (row.revoked_at !== null) return <Badge>revoked</Badge>;
  if (!isOpen(row)) return <Badge>ended</Badge>;
  return (
    <>
      <Badge tone="wait">open</Badge> <Time at={row.expires_at} />
    </>
  );
}

function Invite({ onClose }: { onClose: () => void }) {
  const [role, setRole] = useState<Role>('member');
  const [days, setDays] = useState('7');
  return (
    <InvitationDialog
      title="Invite somebody"
      more={{ role, expires_in: Number(days) * 86_400 }}
      run={(form) => graft.team.invitations.create(form)}
      touches={touches}
      onClose={onClose}
    >
      <Select
        label="Role"
        value={role}
        onValue={(value) => setRole(value as Role)}
        options={roleOptions}
        hint={roleHint}
      />
      <Select
        label="The link works for"
        value={days}
        onValue={setDays}
        options={[
          ['1', 'A day'],
          ['7', 'A week'],
          ['30', '30 days'],
        ]}
      />
    </InvitationDialog>
  );
}
