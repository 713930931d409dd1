/** Users that an identity provider manages by SCIM 2.0, and its tokens. */
export * from './scim-tokens.ts';
export * from './scim-users.ts';
