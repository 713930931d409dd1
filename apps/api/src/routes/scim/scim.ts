import { GraftError } from '@graft/peft-core/config';
import {
  createScimUser,
  deleteScimUser,
  getScimUser,
  listScimUsers,
  type ScimFilter,
  updateScimUser,
  verifyScimToken,
} from '@graft/service/scim';
import type { FastifyPluginAsync, FastifyRequest } from 'fastify';
import type { SignInSettings } from '../../sign-in/sign-in-settings.ts';
import { toApiError } from '../../to-api-error.ts';
import { listResponse, maxListed, serviceProviderConfig, userSchemaOf, userType } from './discovery.ts';
import { patchUser } from './patch-user.ts';
import { ScimError, toWireScimError } from './scim-error.ts';
import { readUser, toWireUser, userSchema } from './user-resource.ts';

/** Attributes of a resource to return or to omit (RFC 7644, 3.9). */
interface Selection {
  attributes?: string | string[] | undefined;
  excludedAttributes?: string | string[] | undefined;
}

type Json = Record<string, unknown>;

/** Always returned, as the schema requires. */
const always = new Set(['schemas', 'id']);

const namesOf = (given: unknown): string[] | null => {
  const list = (Array.isArray(given) ? given : String(given ?? '').split(',')).slice(0, 100);
  const names = list.map((name) => String(name).trim().toLowerCase()).filter(Boolean);
  return names.length > 0 ? names.map((name) => name.replace(/^urn:.*:(?=[^:]+$)/, '')) : null;
};

/** The resource with only the requested attributes, or without the excluded ones, including sub-attributes (`name.givenName`). */
function selectAttributes(resource: object, { attributes, excludedAttributes }: Selection): Json {
  const [wanted, unwanted] = [namesOf(attributes), namesOf(excludedAttributes)];
  if (wanted) return keep(resource as Json, wanted);
  return unwanted ? drop(resource as Json, unwanted) : (resource as Json);
}

const partsOf = (names: string[], name: string): string[] =>
  names.filter((each) => each.startsWith(`${name}.`)).map((each) => each.slice(name.length + 1));

/** Applies `change` to an object, or to each item of a list. */
function within(value: unknown, change: (part: Json) => Json): unknown {
  if (Array.isArray(value)) return value.map((each) => change(each as Json));
  return typeof value === 'object' && value !== null ? change(value as Json) : value;
}

function keep(resource: Json, names: string[]): Json {
  const entries = Object.entries(resource).flatMap(([key, value]): [string, unknown][] => {
    const name = key.toLowerCase();
    if (always.has(name) || names.includes(name)) return [[key, value]];
    const parts = partsOf(names, name);
    const pick = (part: Json): Json =>
      Object.fromEntries(Object.entries(part).filter(([each]) => parts.includes(each.toLowerCase())));
    return parts.length > 0 ? [[key, within(value, pick)]] : [];
  });
  return Object.fromEntries(entries);
}

function drop(resource: Json, names: string[]): Json {
  const entries = Object.entries(resource).flatMap(([key, value]): [string, unknown][] => {
    const name = key.toLowerCase();
    if (always.has(name)) return [[key, value]];
    if (names.includes(name)) return [];
    const parts = partsOf(names, name);
    const omit = (part: Json): Json =>
      Object.fromEntries(Object.entries(part).filter(([each]) => !parts.includes(each.toLowerCase())));
    return [[key, parts.length > 0 ? within(value, omit) : value]];
  });
  return Object.fromEntries(entries);
}

declare module 'fastify' {
  interface FastifyRequest {
    /** Id of the token of the calling directory. */
    directory: string;
  }
}

const mediaType = 'application/scim+json; charset=utf-8';
/** Maximum bytes of a body; directories send one person at a time. */
const bodyLimit = 64 * 1024;
const endpoints = ['ServiceProviderConfig', 'ResourceTypes', 'Schemas', 'Users'];

/** /scim/v2: SCIM 2.0 for people, with which a directory such as Entra or Okta reports leavers. Not in OpenAPI, since it is a standard. */
export const scimRoutes: FastifyPluginAsync<{ signIn: SignInSettings }> = async (app, { signIn }) => {
  const { services } = app;
  const schema = { hide: true };
  app.decorateRequest('directory', '');

  app.addHook('onRequest', async (request, reply) => {
    const header = request.headers.authorization;
    const verify = () => verifyScimToken(services, header);
    const id = header === undefined ? null : await app.rates.lookUp(request, header, verify);
    reply.type(mediaType);
    if (id === null) {
      reply.header('www-authenticate', 'Bearer realm="graft scim"');
      throw new ScimError(
        401,
        'This requires a token created with `graft admin scim create`, as a bearer token.',
      );
    }
    request.directory = id;
    await app.rates.countByKey(request, reply);
  });

  app.setErrorHandler(async (error: Error, request, reply) => {
    reply.type(mediaType);
    if (error instanceof ScimError) {
      return await reply
        .code(error.status)
        .send(toWireScimError(error.status, error.message, error.scimType));
    }
    if (error instanceof GraftError && error.code === 'scim_user_exists') {
      return await reply.code(409).send(toWireScimError(409, error.message, 'uniqueness'));
    }
    const known = toApiError(error);
    if (known.status >= 500) request.log.error({ err: error }, 'a SCIM request failed');
    reply.headers(known.headers);
    const type = known.status === 400 ? 'invalidValue' : undefined;
    return await reply.code(known.status).send(toWireScimError(known.status, known.message, type));
  });

  const baseOf = ({ protocol, host }: FastifyRequest) =>
    `${signIn.publicUrl?.origin ?? `${protocol}://${host}`}/scim/v2`;
  const actorOf = ({ directory }: FastifyRequest) => ({ keyId: directory });
  const notFound = (what: string) => new ScimError(404, `There is no ${what.slice(0, 100)} here.`);
  type ById = { Params: { id: string } };

  app.get('/ServiceProviderConfig', { schema }, async (request) => serviceProviderConfig(baseOf(request)));
  app.get('/ResourceTypes', { schema }, async (request) => listResponse([userType(baseOf(request))]));
  app.get<ById>('/ResourceTypes/:id', { schema }, async (request) => {
    if (request.params.id !== 'User') throw notFound(request.params.id);
    return userType(baseOf(request));
  });
  app.get('/Schemas', { schema }, async (request) => listResponse([userSchemaOf(baseOf(request))]));
  app.get<ById>('/Schemas/:id', { schema }, async (request) => {
    if (request.params.id !== userSchema) throw notFound(request.params.id);
    return userSchemaOf(baseOf(request));
  });

  async function search(request: FastifyRequest, { filter, startIndex, count, ...selection }: Search) {
    const start = Math.max(1, readCount('startIndex', startIndex, 1));
    const limit = Math.min(maxListed, Math.max(0, readCount('count', count, 100)));
    const page = { offset: start - 1, limit };
    if (filter !== undefined && typeof filter !== 'string') {
      throw new ScimError(400, "'filter' must be a string.", 'invalidFilter');
    }
    const { users, total } = await listScimUsers(services, parseScimFilter(filter), page);
    const base = baseOf(request);
    const resources = users.map((user) => selectAttributes(toWireUser(user, base), selection));
    return listResponse(resources, total, start);
  }

  app.get<{ Querystring: Search }>('/Users', { schema }, (request) => search(request, request.query));
  // The same search with the query in the body (RFC 7644, 3.4.3). People are the only resource.
  for (const path of ['/.search', '/Users/.search']) {
    app.post(path, { schema, bodyLimit }, (request) => search(request, (request.body ?? {}) as Search));
  }

  app.get<ById & { Querystring: Selection }>('/Users/:id', { schema }, async (request) => {
    const user = await getScimUser(services, request.params.id);
    if (!user) throw notFound(request.params.id);
    return selectAttributes(toWireUser(user, baseOf(request)), request.query);
  });

  app.post('/Users', { schema, bodyLimit }, async (request, reply) => {
    const made = await createScimUser(services, readUser(request.body, true), actorOf(request));
    const wire = toWireUser(made, baseOf(request));
    return await reply.code(201).header('location', wire.meta.location).send(wire);
  });

  app.put<ById>('/Users/:id', { schema, bodyLimit }, async (request) => {
    const { id } = request.params;
    const change = ({ active }: { active: boolean }) => readUser(request.body, active);
    const user = await updateScimUser(services, id, change, actorOf(request));
    if (!user) throw notFound(id);
    return toWireUser(user, baseOf(request));
  });

  app.patch<ById>('/Users/:id', { schema, bodyLimit }, async (request) => {
    const { id } = request.params;
    const change = (before: Parameters<typeof patchUser>[0]) => patchUser(before, request.body);
    const user = await updateScimUser(services, id, change, actorOf(request));
    if (!user) throw notFound(id);
    return toWireUser(user, baseOf(request));
  });

  app.delete<ById>('/Users/:id', { schema }, async (request, reply) => {
    const { id } = request.params;
    if (!(await deleteScimUser(services, id, actorOf(request)))) throw notFound(id);
    return await reply.code(204).send();
  });

  // Unknown paths and methods get errors in SCIM's format.
  app.all('/*', { schema }, async (request) => {
    const [, endpoint] = /^\/scim\/v2\/([^/?]+)/.exec(request.url) ?? [];
    if (request.method !== 'GET' && endpoint !== undefined && endpoints.includes(endpoint)) {
      throw new ScimError(405, `${endpoint} does not support ${request.method}.`);
    }
    throw notFound(request.url.split('?', 1)[0]!);
  });
};

interface Search extends Selection {
  filter?: unknown;
  startIndex?: unknown;
  count?: unknown;
}

function readCount(name: string, value: unknown, absent: number): number {
  if (value === undefined) return absent;
  if (/^-?\d{1,9}$/.test(String(value))) return Number(value);
  throw new ScimError(400, `'${name}' must be a whole number.`, 'invalidValue');
}

const names = new Map<string, ScimFilter['attribute']>([
  ['id', 'id'],
  ['username', 'userName'],
  ['externalid', 'externalId'],
  ['emails', 'email'],
  ['emails.value', 'email'],
  ['emails[type eq "work"].value', 'email'],
]);

/** Parses the filters that directories send: one attribute equals a string. Throws ScimError `invalidFilter`. */
function parseScimFilter(text: string | undefined): ScimFilter | null {
  if (text === undefined) return null;
  const match = /^\s*(\S+(?: eq "work"\]\.value)?)\s+eq\s+("(?:[^"\\\p{Cc}]|\\["\\/])*")\s*$/iu.exec(text);
  const prefix = 'urn:ietf:params:scim:schemas:core:2.0:user:';
  const path = (match?.[1] ?? '').toLowerCase();
  const attribute = names.get(path.startsWith(prefix) ? path.slice(prefix.length) : path);
  if (!match || !attribute) {
    throw new ScimError(
      400,
      'A filter compares one of id, userName, externalId and emails.value with a string by eq: userName eq "ada@example.com".',
      'invalidFilter',
    );
  }
  return { attribute, value: JSON.parse(match[2]!) as string };
}
