/**
 * Node's own modules where there are any: undefined in browsers. Not `import()`, which bundlers for browsers
 * would try to resolve.
 */
export function nodeModule<Name extends 'node:fs' | 'node:fs/promises' | 'node:path' | 'node:crypto'>(
  name: Name,
): ReturnType<typeof process.getBuiltinModule<Name>> | undefined {
  return globalThis.process?.getBuiltinModule?.(name);
}

/** The same, for what only Node can do. */
export function requireNodeModule<Name extends 'node:fs' | 'node:fs/promises' | 'node:path' | 'node:crypto'>(
  name: Name,
  purpose: string,
): NonNullable<ReturnType<typeof nodeModule<Name>>> {
  const found = nodeModule(name);
  if (found === undefined || found === null) throw new TypeError(`${purpose} needs Node.js.`);
  return found;
}
