import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import {
  createPerson,
  erasePerson,
  findPerson,
  listIdentities,
  listPeople,
  type PersonRecord,
  unlinkIdentity,
  updatePerson,
} from '@graft/service/people';
import { listOf } from '@graft/wire/list';
import { ref } from '@graft/wire/schema';
import { IdentityOfPersonParams, IdentitySchema, UnlinkedIdentitySchema } from '@graft/wire/session';
import {
  CreatePersonSchema,
  ErasedPersonSchema,
  ListPeopleQuery,
  MemberParams,
  PersonSchema,
  UpdatePersonSchema,
} from '@graft/wire/team';
import { toWireList } from '../../answers/list.ts';
import { toWireIdentity } from '../../answers/session.ts';
import { toWirePerson } from '../../answers/team.ts';
import { found } from '../../not-found.ts';
import { operation } from './operation.ts';

export const adminPeopleRoutes: FastifyPluginAsyncTypebox = async (app) => {
  const { services } = app;

  async function find(id: string): Promise<PersonRecord> {
    const person = await findPerson(services, id);
    // Only by id: an email may belong to another person tomorrow.
    return found(person?.id === id && person, 'person', id);
  }

  app.get(
    '/admin/people',
    operation('List people', listOf(PersonSchema), {
      description: 'Newest first.',
      querystring: ListPeopleQuery,
    }),
    async ({ query }) => toWireList(await listPeople(services, query), toWirePerson),
  );

  app.post(
    '/admin/people',
    operation('Create a person', ref(PersonSchema), {
      description: 'The person is in no team until a team invites them.',
      body: ref(CreatePersonSchema),
    }),
    async ({ operator, body: { email, name, is_operator: isOperator } }) =>
      toWirePerson(await createPerson(services, { email, name, isOperator }, operator)),
  );

  app.get(
    '/admin/people/:person_id',
    operation('Get a person', ref(PersonSchema), { params: MemberParams }),
    async ({ params }) => toWirePerson(await find(params.person_id)),
  );

  app.post(
    '/admin/people/:person_id',
    operation('Update a person', ref(PersonSchema), {
      description:
        'While a person is `disabled`, none of their keys works in any team. Changes take effect immediately, in every process.',
      params: MemberParams,
      body: ref(UpdatePersonSchema),
    }),
    async ({ operator, params: { person_id }, body }) => {
      const change = { name: body.name, isOperator: body.is_operator, isDisabled: body.disabled };
      return toWirePerson(
        found(await updatePerson(services, person_id, change, operator), 'person', person_id),
      );
    },
  );

  app.delete(
    '/admin/people/:person_id',
    operation('Erase a person', ref(ErasedPersonSchema), {
      description:
        'Permanently replaces name and email, and ends the identities, sessions, keys and memberships of the person, even as the last admin of a team. The opaque id remains in records of what the person did.',
      params: MemberParams,
    }),
    async ({ operator, params: { person_id: id } }) => {
      found(await erasePerson(services, id, operator), 'person', id);
      return { id, object: 'person' as const, deleted: true as const };
    },
  );

  app.get(
    '/admin/people/:person_id/identities',
    operation('List the identities of a person', listOf(IdentitySchema), {
      description: 'The identities that the person signs in with, one per provider; oldest first.',
      params: MemberParams,
    }),
    async ({ params }) => {
      const { id } = await find(params.person_id);
      return toWireList({ data: await listIdentities(services, id), hasMore: false }, toWireIdentity);
    },
  );

  app.delete(
    '/admin/people/:person_id/identities/:identity_id',
    operation('Unlink an identity from a person', ref(UnlinkedIdentitySchema), {
      description:
        'Works for the last identity, too. Sessions of the identity end immediately; memberships and keys remain. A later sign-in with the identity links it again if the provider has verified the email of the person.',
      params: IdentityOfPersonParams,
    }),
    async ({ operator, params: { person_id, identity_id: id } }) => {
      const person = await find(person_id);
      found(await unlinkIdentity(services, person.id, id, null, operator), 'identity', id);
      return { id, object: 'identity' as const, deleted: true as const };
    },
  );
};
