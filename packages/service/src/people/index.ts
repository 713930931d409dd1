export * from './erase-person.ts';
export * from './identities.ts';
export {
  acceptInvitation,
  acceptInvitationAs,
  createInvitation,
  type InvitationRecord,
  listInvitations,
  previewInvitation,
  revokeInvitation,
} from './invitations.ts';
export {
  listMembers,
  type Member,
  putMember,
  type RemovedMember,
  removeMember,
  setMemberRole,
} from './memberships.ts';
export {
  createPerson,
  findPerson,
  listPeople,
  type PersonRecord,
  updatePerson,
} from './person-records.ts';
