import type { ModelOutline } from './outline.ts';

/**
 * The name under which a checkpoint holds parameter `name`: its own, that of the parameter it is tied to, or either with the
 * bare model's prefix added or taken away, or that of its fallback. Undefined when it holds none of these.
 */
export function storedName(
  { aliases, fallbacks, optionalPrefix }: Pick<ModelOutline, 'aliases' | 'fallbacks' | 'optionalPrefix'>,
  name: string,
  has: (name: string) => boolean,
): string | undefined {
  const own = aliases[name] ?? name;
  const other = own.startsWith(optionalPrefix) ? own.slice(optionalPrefix.length) : optionalPrefix + own;
  return [own, other, fallbacks?.[name] ?? own].find(has);
}
