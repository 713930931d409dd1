import type { ModelOutline } from './outline.ts';

/**
 * The name under which a checkpoint holds parameter `name`: its own, that of the parameter it is tied to, or either with the
 * bare model's prefix added or taken away. Undefined when it holds none of these.
 */
export function storedName(
  { aliases, optionalPrefix }: Pick<ModelOutline, 'aliases' | 'optionalPrefix'>,
  name: string,
  has: (name: string) => boolean,
): string | undefined {
  const own = aliases[name] ?? name;
  const other = own.startsWith(optionalPrefix) ? own.slice(optionalPrefix.length) : optionalPrefix + own;
  return [own, other].find(has);
}
