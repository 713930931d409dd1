/** Ordered by increasing rights. viewer: reads; member: everything except managing keys and members; admin: everything. */
export const roles = ['viewer', 'member', 'admin'] as const;
export type Role = (typeof roles)[number];

/** Returns whether `role` has at least the rights of `least`. */
export function hasRole(role: Role, least: Role): boolean {
  return roles.indexOf(role) >= roles.indexOf(least);
}

export function smallerRole(a: Role, b: Role): Role {
  return hasRole(a, b) ? b : a;
}
