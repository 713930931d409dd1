export { createKeySession, type SessionLimits } from './create-session.ts';
export * from './end-provider-sessions.ts';
export * from './manage-sessions.ts';
export * from './sign-in-person.ts';
export * from './verify-session.ts';
