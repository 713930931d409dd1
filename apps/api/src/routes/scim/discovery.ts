/** Documents that a directory reads before it sends anything (RFC 7643, sections 5 to 7). */
import { userSchema } from './user-resource.ts';

export const maxListed = 200;

export const serviceProviderConfig = (base: string) => ({
  schemas: ['urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig'],
  patch: { supported: true },
  bulk: { supported: false, maxOperations: 0, maxPayloadSize: 0 },
  filter: { supported: true, maxResults: maxListed },
  changePassword: { supported: false },
  sort: { supported: false },
  etag: { supported: false },
  authenticationSchemes: [
    {
      type: 'oauthbearertoken',
      name: 'Bearer token',
      description: 'A token created with `graft admin scim create`',
      primary: true,
    },
  ],
  meta: { resourceType: 'ServiceProviderConfig', location: `${base}/ServiceProviderConfig` },
});

export const userType = (base: string) => ({
  schemas: ['urn:ietf:params:scim:schemas:core:2.0:ResourceType'],
  id: 'User',
  name: 'User',
  endpoint: '/Users',
  description: 'A person who may sign in',
  schema: userSchema,
  meta: { resourceType: 'ResourceType', location: `${base}/ResourceTypes/User` },
});

const attribute = (name: string, description: string, more: object = {}) => ({
  name,
  type: 'string',
  multiValued: false,
  description,
  required: false,
  caseExact: false,
  mutability: 'readWrite',
  returned: 'default',
  uniqueness: 'none',
  ...more,
});
const boolean = (name: string, description: string, required = false) => {
  const {
    caseExact: _,
    uniqueness: __,
    ...more
  } = attribute(name, description, { type: 'boolean', required });
  return more;
};
const complex = (name: string, description: string, subAttributes: object[], isList: boolean) => {
  const { caseExact: _, uniqueness: __, ...more } = attribute(name, description);
  return { ...more, type: 'complex', multiValued: isList, required: isList, subAttributes };
};

export const userSchemaOf = (base: string) => ({
  schemas: ['urn:ietf:params:scim:schemas:core:2.0:Schema'],
  id: userSchema,
  name: 'User',
  description: 'A person who may sign in',
  attributes: [
    attribute('userName', 'Unique name of the person in the directory', {
      required: true,
      uniqueness: 'server',
    }),
    attribute('displayName', 'Display name of the person'),
    complex(
      'name',
      'Components of the name',
      [
        attribute('formatted', 'Full name'),
        attribute('givenName', 'Given name'),
        attribute('familyName', 'Family name'),
      ],
      false,
    ),
    complex(
      'emails',
      'Emails of the person. The primary one, or else the first, identifies the person at a first sign-in',
      [
        attribute('value', 'Email address', { required: true }),
        attribute('type', 'Type of the email, such as work'),
        boolean('primary', 'Whether this is the primary email'),
      ],
      true,
    ),
    boolean('active', 'Whether the person may sign in', true),
  ],
  meta: { resourceType: 'Schema', location: `${base}/Schemas/${userSchema}` },
});

export function listResponse<T>(resources: T[], total = resources.length, startIndex = 1) {
  return {
    schemas: ['urn:ietf:params:scim:api:messages:2.0:ListResponse'],
    totalResults: total,
    startIndex,
    itemsPerPage: resources.length,
    Resources: resources,
  };
}
