import type { Invitation, Role, TeamMember } from '@graft/client';
import { useQuery, useQueryClient } from '@tanstack/preact-query';
import { useState } from 'preact/hooks';
import { Badge } from '../../components/badge.tsx';
import { Cut } from '../../components/cut.tsx';
import { Opened } from '../../components/dialog.tsx';
import { Checkbox, Select } from '../../components/forms/field.tsx';
import { Confirm, DialogButton, useAction } from '../../components/forms/form.tsx';
import { Listing } from '../../components/lists/listing.tsx';
import { Time } from '../../components/time.tsx';
import { toast } from '../../components/toast.tsx';
import { graft } from '../../data/graft.ts';
import { usePages } from '../../data/pages.ts';
import { useMe, usePermission } from '../../data/session.ts';
import { InvitationDialog } from './invitation-dialog.tsx';
import { roleOptions } from './roles.ts';

const invalidates = [['members'], ['audit']];

export function Members() {
  const cache = useQueryClient();
  const me = useMe();
  const canEdit = usePermission('team:write', 'admin');
  const canInvite = usePermission('team:read', 'admin');
  const members = usePages(['members'], () => graft.team.members.list({ limit: 100 }));
  const [ownChange, setOwnChange] = useState<{ member: TeamMember; role: Role } | null>(null);
  const isMe = ({ id }: TeamMember) => id === me.person?.id;
  const setRole = useAction({
    run: ({ member, role }: { member: TeamMember; role: Role }) =>
      graft.team.members.setRole(member.id, role),
    invalidates,
    onDone: (_, { member, role }) =>
      toast(`${member.name} is now ${role}.`, {
        label: 'Undo',
        run: () => setRole.mutate({ member: { ...member, role }, role: member.role }),
      }),
  });
  return (
    <>
      <section class="panel">
        <Listing
          pages={members}
          label="Members"
          minWidth="44rem"
          emptyTitle="No members"
          emptyText={<>The team has API keys but no members. {canEdit && 'Invite the first member below.'}</>}
          columns={[
            { head: 'Member', cell: (member) => <Member member={member} isMe={isMe(member)} /> },
            {
              head: 'Role',
              width: '10rem',
              cell: (member) =>
                canEdit ? (
                  <Select
                    label={`Role of ${member.name}`}
                    hideLabel
                    value={member.role}
                    onValue={(role) => (isMe(member) ? setOwnChange : setRole.mutate)({ member, role })}
                    options={roleOptions}
                  />
                ) : (
                  member.role
                ),
            },
            {
              head: 'Joined through',
              width: '10rem',
              cell: ({ source }) =>
                source === 'oidc' ? (
                  <span title="Membership follows a group of the identity provider.">SSO group</span>
                ) : (
                  'invitation'
                ),
            },
            { head: 'Joined', width: '8rem', cell: (member) => <Time at={member.created_at} /> },
            {
              width: '7rem',
              actions: (member) => [
                (canEdit || isMe(member)) && {
                  text: isMe(member) ? 'Leave' : 'Remove',
                  dialog: <Remove member={member} isMe={isMe(member)} />,
                },
              ],
            },
          ]}
        />
      </section>
      {/* After the members are loaded, so that they do not push it down. */}
      {canInvite && !members.isPending && <Invitations />}
      {ownChange && (
        <Opened onClose={() => setOwnChange(null)}>
          <Confirm
            title="Change your own role?"
            action={`Change to ${ownChange.role}`}
            run={() => graft.team.members.setRole(ownChange.member.id, ownChange.role)}
            // Other pages and actions are now available.
            onDone={() => void cache.resetQueries()}
          >
            <p>Only another admin can undo this.</p>
          </Confirm>
        </Opened>
      )}
    </>
  );
}

const Member = ({ member: { name, email, disabled }, isMe }: { member: TeamMember; isMe: boolean }) => (
  <>
    <span class="inline">
      <Cut text={name} />
      {isMe && <Badge>you</Badge>}
      {disabled && (
        <Badge tone="bad" title="Disabled by the operator. None of their keys work.">
          disabled
        </Badge>
      )}
    </span>
    <Cut text={email} class="small soft" />
  </>
);

function Remove({ member: { id, name, email }, isMe }: { member: TeamMember; isMe: boolean }) {
  const cache = useQueryClient();
  const [endsExits, setEndsExits] = useState(false);
  const isAdmin = usePermission('team:read', 'admin');
  const { data: exits = [] } = useQuery({
    queryKey: ['exits', id],
    queryFn: () => graft.team.exits({ made_by: id }).toArray(),
    enabled: isAdmin && !isMe,
  });
  const open = exits.filter(({ enabled }) => enabled);
  return (
    <Confirm
      title={isMe ? 'Leave the team?' : 'Remove member?'}
      action={isMe ? 'Leave' : 'Remove'}
      run={() =>
        isMe
          ? graft.team.members.leave()
          : graft.team.members.remove(id, { exits: endsExits ? 'end' : 'keep' })
      }
      invalidates={[...invalidates, ['webhooks'], ['integrations'], ['adapter'], ['exits']]}
      successMessage={({ keys_left: keys }) => {
        if (isMe) return 'You left the team.';
        const check =
          keys.length > 0 ? ` Check the keys they created, which still work: ${keys.join(', ')}.` : '';
        return `${name} removed.${check}`;
      }}
      onDone={() => isMe && void cache.resetQueries()}
    >
      <p class="wrap-anywhere">
        All keys of {name} ({email}) in this team are revoked immediately. Files, jobs and adapters are kept.
      </p>
      {open.length > 0 && (
        <>
          <p class="wrap-anywhere">
            {name} made these, which send to other servers: {open.map((exit) => exit.name).join(', ')}.
          </p>
          <Checkbox label="End them, too" checked={endsExits} onChecked={setEndsExits} />
        </>
      )}
    </Confirm>
  );
}

function Invitations() {
  const canEdit = usePermission('team:write', 'admin');
  return (
    <section class="panel">
      <div class="section-head">
        <h2>Invitations</h2>
        {canEdit && (
          <DialogButton icon="add" dialog={<InvitationDialog />}>
            Invite member
          </DialogButton>
        )}
      </div>
      <Listing
        pages={usePages(['invitations'], () => graft.team.invitations.list({ limit: 50 }))}
        label="Invitations"
        minWidth="44rem"
        emptyTitle="No invitations"
        emptyText="An invitation is a link that works once. Send it to one person over a secure channel."
        columns={[
          { head: 'Email', cell: ({ email }) => <Cut text={email ?? 'Anyone with the link'} /> },
          { head: 'Role', width: '7rem', cell: ({ role }) => role },
          { head: 'Created', width: '8rem', cell: (row) => <Time at={row.created_at} /> },
          { head: 'Status', width: '12rem', cell: (row) => <InvitationStatus invitation={row} /> },
          {
            width: '7rem',
            actions: (row) => [
              canEdit &&
                isOpen(row) && {
                  text: 'Revoke',
                  dialog: (
                    <Confirm
                      title="Revoke invitation?"
                      action="Revoke invitation"
                      run={() => graft.team.invitations.revoke(row.id)}
                      invalidates={[['invitations'], ['audit']]}
                      successMessage={() => 'Invitation revoked.'}
                    >
                      <p>The link stops working immediately. You can create a new one.</p>
                    </Confirm>
                  ),
                },
            ],
          },
        ]}
      />
    </section>
  );
}

const isOpen = (row: Invitation) =>
  row.accepted_at === null && row.revoked_at === null && row.expires_at > Date.now() / 1000;

function InvitationStatus({ invitation }: { invitation: Invitation }) {
  if (invitation.accepted_at !== null) return <Badge tone="good">accepted</Badge>;
  if (invitation.revoked_at !== null) return <Badge>revoked</Badge>;
  if (!isOpen(invitation)) return <Badge>expired</Badge>;
  return (
    <>
      <Badge tone="wait">expires</Badge> <Time at={invitation.expires_at} />
    </>
  );
}
