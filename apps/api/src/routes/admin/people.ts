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
} from '@graft/service';
import { found } from '../../not-found.ts';
import { listOf, toWireList } from '../../schemas/list.ts';
import { ref } from '../../schemas/schema.ts';
import {
  IdentityOfPersonParams,
  IdentitySchema,
  toWireIdentity,
  UnlinkedIdentitySchema,
} from '../../schemas/session.ts';
import {
  CreatePersonSchema,
  ErasedPersonSchema,
  ListPeopleQuery,
  MemberParams,
  PersonSchema,
  toWirePerson,
  UpdatePersonSchema,
} from '../../schemas/team.ts';
import { operation } from './operation.ts';

/** /admin/people: all people of the service. */
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
    operation('Make a person', ref(PersonSchema), {
      description: 'Of no team yet: teams invite.',
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
    operation('Change a person', ref(PersonSchema), {
      description:
        '`disabled`: no key of the person works, in any team, until the person is enabled again. Effective immediately, in every process.',
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
        'For good: name and email are replaced, and identities, sessions, keys and memberships end, also that of a team’s last admin. The opaque id stays in what the person did.',
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
      description: 'By which they sign in, one at each provider; oldest first.',
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
        'The last one too. Sessions of the identity end immediately; memberships and keys stay. A later sign-in by it links it again where the provider has verified the email of the person.',
      params: IdentityOfPersonParams,
    }),
    async ({ operator, params: { person_id, identity_id: id } }) => {
      const person = await find(person_id);
      found(await unlinkIdentity(services, person.id, id, null, operator), 'identity', id);
      return { id, object: 'identity' as const, deleted: true as const };
    },
  );
};
