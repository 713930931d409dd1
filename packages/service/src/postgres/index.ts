export * from './acquire-postgres.ts';
export { setLogins } from './app-login.ts';
export * from './ensure-roles.ts';
export { findUser } from './run-as.ts';
