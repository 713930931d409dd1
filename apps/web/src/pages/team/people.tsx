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
import { useMay, useMe } from '../../data/session.ts';
import { Invitations } from './invitations.tsx';
import { roleOptions } from './roles.ts';

const touches = [['members'], ['audit']];

/** Who is in the team, as what; and who was invited. */
export function People() {
  const cache = useQueryClient();
  const me = useMe();
  const may = useMay('team:write', 'admin');
  const mayInvite = useMay('team:read', 'admin');
  const members = usePages(['members'], () => graft.team.members.list({ limit: 100 }));
  const [asked, setAsked] = useState<{ member: TeamMember; role: Role | 'none' } | null>(null);
  const isMe = ({ id }: TeamMember) => id === me.person?.id;

  const setRole = useAction({
    run: ({ member, role }: { member: TeamMember; role: Role }) =>
      graft.team.members.setRole(member.id, role),
    touches,
    onDone: (_, { member, role }) => {
      setAsked(null);
      const text = `${member.name} is ${role} now.`;
      // Whoever gives up being an admin cannot take that back.
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
    touches,
    said: ({ keys_left: left }, member) => {
      if (isMe(member)) return 'You have left the team.';
      const check =
        left.length > 0 ? ` Check the keys that they made and that still work: ${left.join(', ')}.` : '';
      return `${member.name} is removed.${check}`;
    },
    onDone: (_, member) => {
      setAsked(null);
      if (isMe(member)) void cache.resetQueries();
    },
  });
  const choose = (member: TeamMember, role: Role) =>
    isMe(member) ? setAsked({ member, role }) : setRole.mutate({ member, role });

  return (
    <>
      <section class="section">
        <Listing
          pages={members}
          label="Members"
          minWidth="44rem"
          empty={
            <Empty title="Nobody is in the team">
              <p>It has keys of its own, and no people. {may && 'Invite the first below.'}</p>
            </Empty>
          }
          columns={[
            {
              head: 'Person',
              names: true,
              cell: (member) => (
                <>
                  <span class="beside">
                    <span class="cut" title={member.name}>
                      {member.name}
                    </span>
                    {isMe(member) && <Badge>you</Badge>}
                    {member.disabled && (
                      <Badge tone="bad" title="By the operator: none of their keys works.">
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
                may ? (
                  <Select
                    label={`Role of ${member.name}`}
                    bare
                    value={member.role}
                    onValue={(role) => choose(member, role as Role)}
                    options={roleOptions}
                  />
                ) : (
                  member.role
                ),
            },
            {
              head: 'Came by',
              width: '10rem',
              cell: ({ source }) =>
                source === 'oidc' ? (
                  <span title="A group at the provider gives it, and takes it.">a group</span>
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
                (may || isMe(member)) && (
                  <Button small kind="quiet" onClick={() => setAsked({ member, role: 'none' })}>
                    {isMe(member) ? 'Leave' : 'Remove'}
                  </Button>
                ),
            },
          ]}
        />
      </section>
      {/* Not before what stands above it, which would push it down. */}
      {mayInvite && !members.isPending && <Invitations />}
      {asked && (
        <Confirm
          title={
            asked.role === 'none'
              ? isMe(asked.member)
                ? 'Leave the team?'
                : 'Remove from the team?'
              : 'Change your own role?'
          }
          action={asked.role === 'none' ? (isMe(asked.member) ? 'Leave' : 'Remove') : `Become ${asked.role}`}
          busy={remove.isPending || setRole.isPending}
          onConfirm={() =>
            asked.role === 'none'
              ? remove.mutate(asked.member)
              : setRole.mutate({ member: asked.member, role: asked.role })
          }
          onClose={() => setAsked(null)}
        >
          <p class="words">
            {asked.role === 'none'
              ? `All keys of ${asked.member.name} (${asked.member.email}) in this team stop working at once, for good. Files, jobs and adapters stay.`
              : 'Only another admin can give it back to you.'}
          </p>
        </Confirm>
      )}
    </>
  );
}
