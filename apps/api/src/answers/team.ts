import type { InvitationRecord, Member, PersonRecord, RemovedMember } from '@graft/service/people';
import type { Team } from '@graft/service/teams';
import type { InvitationSchema, MemberSchema, PersonSchema, TeamSchema } from '@graft/wire/team';
import type { Static } from 'typebox';
import { secondsOrNull, unixSeconds } from './list.ts';

export function toWireTeam(team: Team): Static<typeof TeamSchema> {
  const { id, name, runningLimit: running_limit, weight } = team;
  return { id, object: 'team', created_at: unixSeconds(team.createdAt), name, running_limit, weight };
}

export function toWireMember(member: Member): Static<typeof MemberSchema> {
  return {
    id: member.personId,
    object: 'team.member',
    created_at: unixSeconds(member.createdAt),
    email: member.email,
    name: member.name,
    role: member.role,
    source: member.source,
    disabled: member.disabledAt !== null,
  };
}

export const toWireRemoved = ({ keysLeft, exitsEnded, exitsLeft }: RemovedMember) => ({
  deleted: true as const,
  keys_left: keysLeft,
  exits_ended: exitsEnded,
  exits_left: exitsLeft,
});

export function toWireInvitation(record: InvitationRecord): Static<typeof InvitationSchema> {
  return {
    id: record.id,
    object: 'team.invitation',
    created_at: unixSeconds(record.createdAt),
    email: record.email,
    role: record.role,
    created_by: record.createdBy,
    expires_at: unixSeconds(record.expiresAt),
    accepted_at: secondsOrNull(record.acceptedAt),
    accepted_by: record.acceptedBy,
    revoked_at: secondsOrNull(record.revokedAt),
  };
}

export function toWirePerson(person: PersonRecord): Static<typeof PersonSchema> {
  return {
    id: person.id,
    object: 'person',
    created_at: unixSeconds(person.createdAt),
    email: person.email,
    name: person.name,
    is_operator: person.isOperator,
    disabled_at: secondsOrNull(person.disabledAt),
  };
}
