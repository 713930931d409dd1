import type { Role, TeamMember } from '@graft/client';
import { useQueryClient } from '@tanstack/preact-query';
import { useState } from 'preact/hooks';
import { Badge } from '../../components/badge.tsx';
import { Confirm } from '../../components/dialog.tsx';
import { Empty } from '../../components/empty.tsx';
import { Button } from '../../components/forms/button.tsx';
import { Select } from '../../components/forms/field.tsx';
import { Listing } from '../../components/lists/listing.tsx';
import { Time } from '../../components/time.tsx';
import { toast } from '../../components/toast.tsx';
import { useAction } from '../../data/action.ts';
import { graft } from '../../data/graft.ts';
import { usePages } from '../../data/pages.ts';
import { useMe, usePermission } from '../../data/session.ts';
import { Invitations } from './invitations.tsx';
import { roleOptions } from './roles.ts';

const invalidates = [['members'], ['audit']];

/** The team's members with their roles, and invitations. */
export function Members() {
  const cache = useQueryClient();
  const me = useMe();
  const canEdit = usePermission('team:write', 'admin');
  const canInvite = usePermission('team:read', 'admin');
  const members = usePages(['members'], () => graft.team.members.list({ limit: 100 }));
  const [pending, setPending] = useState<{ member: TeamMember; role: Role | 'none' } | null>(null);
  const isMe = ({ id }: TeamMember) => id === me.person?.id;

  const setRole = useAction({
    run: ({ member, role }: { member: TeamMember; role: Role }) =>
      graft.team.members.setRole(member.id, role),
    invalidates,
    onDone: (_, { member, role }) => {
      setPending(null);
      const text = `${member.name} is now ${role}.`;
      // An admin who changed their own role cannot undo it.
      if (isMe(member)) void cache.resetQueries();
      else
        toast(text, {
          label: 'Undo',
          run: () => setRole.mutate({ member: { ...member, role }, role: member.role }),
        });
    },
  });
  const remove = useAction({
    run: (member: TeamMember) =>
      isMe(member) ? graft.team.members.leave() : graft.team.members.remove(member.id),
    invalidates,
    successMessage: ({ keys_left: keys }, member) => {
      if (isMe(member)) return 'You left the team.';
      const check =
        keys.length > 0 ? ` Check the keys they created, which still work: ${keys.join(', ')}.` : '';
      return `${member.name} removed.${check}`;
    },
    onDone: (_, member) => {
      setPending(null);
      if (isMe(member)) void cache.resetQueries();
    },
  });
  const choose = (member: TeamMember, role: Role) =>
    isMe(member) ? setPending({ member, role }) : setRole.mutate({ member, role });

  return (
    <>
      <section class="panel">
        <Listing
          pages={members}
          label="Members"
          minWidth="44rem"
          empty={
            <Empty title="No members">
              <p>The team has API keys but no members. {canEdit && 'Invite the first member below.'}</p>
            </Empty>
          }
          columns={[
            {
              head: 'Member',
              isRowHeader: true,
              cell: (member) => (
                <>
                  <span class="inline">
                    <span class="cut" title={member.name}>
                      {member.name}
                    </span>
                    {isMe(member) && <Badge>you</Badge>}
                    {member.disabled && (
                      <Badge tone="bad" title="Disabled by the operator. None of their keys work.">
                        disabled
                      </Badge>
                    )}
                  </span>
                  <span class="cut small soft" title={member.email}>
                    {member.email}
                  </span>
                </>
              ),
            },
            {
              head: 'Role',
              width: '10rem',
              cell: (member) =>
                canEdit ? (
                  <Select
                    label={`Role of ${member.name}`}
                    hideLabel
                    value={member.role}
                    onValue={(role) => choose(member, role as Role)}
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
              head: <span class="visually-hidden">Actions</span>,
              width: '7rem',
              end: true,
              cell: (member) =>
                (canEdit || isMe(member)) && (
                  <Button small kind="quiet" onClick={() => setPending({ member, role: 'none' })}>
                    {isMe(member) ? 'Leave' : 'Remove'}
                  </Button>
                ),
            },
          ]}
        />
      </section>
      {/* After the members are loaded, so that they do not push it down. */}
      {canInvite && !members.isPending && <Invitations />}
      {pending && (
        <Confirm
          title={
            pending.role === 'none'
              ? isMe(pending.member)
                ? 'Leave the team?'
                : 'Remove member?'
              : 'Change your own role?'
          }
          action={
            pending.role === 'none'
              ? isMe(pending.member)
                ? 'Leave'
                : 'Remove'
              : `Change to ${pending.role}`
          }
          busy={remove.isPending || setRole.isPending}
          onConfirm={() =>
            pending.role === 'none'
              ? remove.mutate(pending.member)
              : setRole.mutate({ member: pending.member, role: pending.role })
          }
          onClose={() => setPending(null)}
        >
          <p class="wrap-anywhere">
            {pending.role === 'none'
              ? `All keys of ${pending.member.name} (${pending.member.email}) in this team are revoked immediately. Files, jobs and adapters are kept.`
              : 'Only another admin can undo this.'}
          </p>
        </Confirm>
      )}
    </>
  );
}
