import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { createPerson, findPerson, listPeople, updatePerson } from '@graft/service';
import { ApiError } from '../../api-error.ts';
import { errorResponses } from '../../schemas/error.ts';
import { listOf, toWireList } from '../../schemas/list.ts';
import { ref } from '../../schemas/schema.ts';
import {
  CreatePersonSchema,
  ListQuery,
  MemberParams,
  PersonSchema,
  toWirePerson,
  UpdatePersonSchema,
} from '../../schemas/team.ts';

const tags = ['Operator'];
const config = { access: 'operator' } as const;

/** /admin/people: everybody whom the service knows. */
export const adminPeopleRoutes: FastifyPluginAsyncTypebox = async (app) => {
  const { services } = app;

  app.get(
    '/admin/people',
    {
      config,
      schema: {
        tags,
        summary: 'List people',
        description: 'Newest first.',
        querystring: ListQuery,
        response: { 200: listOf(PersonSchema), ...errorResponses(400, 401, 403) },
      },
    },
    async ({ query }) => toWireList(await listPeople(services, query), toWirePerson),
  );

  app.post(
    '/admin/people',
    {
      config,
      schema: {
        tags,
        summary: 'Make a person',
        description: 'Of no team yet: teams invite.',
        body: ref(CreatePersonSchema),
        response: { 200: ref(PersonSchema), ...errorResponses(400, 401, 403) },
      },
    },
    async ({ operator, body: { email, name, is_operator: isOperator } }) =>
      toWirePerson(await createPerson(services, { email, name, isOperator }, operator)),
  );

  app.get(
    '/admin/people/:person_id',
    {
      config,
      schema: {
        tags,
        summary: 'Get a person',
        params: MemberParams,
        response: { 200: ref(PersonSchema), ...errorResponses(401, 403, 404) },
      },
    },
    async ({ params }) => {
      const person = await findPerson(services, params.person_id);
      if (person?.id !== params.person_id) throw personNotFound(params.person_id);
      return toWirePerson(person);
    },
  );

  app.post(
    '/admin/people/:person_id',
    {
      config,
      schema: {
        tags,
        summary: 'Change a person',
        description:
          '`disabled`: none of their keys works, in any team, until they are enabled again. At once, on every process.',
        params: MemberParams,
        body: ref(UpdatePersonSchema),
        response: { 200: ref(PersonSchema), ...errorResponses(400, 401, 403, 404) },
      },
    },
    async ({ operator, params: { person_id }, body }) => {
      const change = { name: body.name, isOperator: body.is_operator, isDisabled: body.disabled };
      const person = await updatePerson(services, person_id, change, operator);
      if (!person) throw personNotFound(person_id);
      return toWirePerson(person);
    },
  );
};

function personNotFound(id: string): ApiError {
  return new ApiError('person_not_found', `No such person: ${id}`, { param: 'person_id' });
}
