/** Converts a glob to a regular expression; `*` matches any characters of one part of `org/name`. The globs come from the operator. */
export function globToRegExp(glob: string): RegExp {
  const parts = glob.split('*').map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
  return new RegExp(`^${parts.join('[^/]*')}$`);
}
