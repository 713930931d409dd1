/** Users whom a directory of people manages (SCIM 2.0), and its tokens. */
export {
  createScimToken,
  listScimTokens,
  revokeScimToken,
  type ScimTokenRecord,
  verifyScimToken,
} from './scim-tokens.ts';
export {
  createScimUser,
  deleteScimUser,
  getScimUser,
  listScimUsers,
  type ScimAttributes,
  type ScimFilter,
  type ScimUser,
  type ScimUserInput,
  updateScimUser,
} from './scim-users.ts';
