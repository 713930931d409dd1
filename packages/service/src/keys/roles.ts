import { type Role, roles } from '@graft/wire/lists';

export function hasRole(role: Role, least: Role): boolean {
  return roles.indexOf(role) >= roles.indexOf(least);
}

export function smallerRole(a: Role, b: Role): Role {
  return hasRole(a, b) ? b : a;
}
