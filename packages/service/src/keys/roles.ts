/** From least to most. viewer: reads; member: everything else; admin: keys and members too. */
export const roles = ['viewer', 'member', 'admin'] as const;
export type Role = (typeof roles)[number];

/** Whether `role` may do what takes `least`. */
export function hasRole(role: Role, least: Role): boolean {
  return roles.indexOf(role) >= roles.indexOf(least);
}

export function smallerRole(a: Role, b: Role): Role {
  return hasRole(a, b) ? b : a;
}
