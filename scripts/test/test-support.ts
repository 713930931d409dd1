import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type ReferenceLibrary, referenceLibraries } from '../golden/environment/python-environment.ts';

/** Returns true if a test file, itself or through its test support, uses Postgres or Redis, so that given ones make a difference. */
export function opensServices(file: string): boolean {
  return textsOf(file).some((text) =>
    /@graft\/service\/testing|process\.env\.(DATABASE|REDIS)_URL/.test(text),
  );
}

export const opensBrowser = (file: string): boolean =>
  textsOf(file).some((text) => /\bopen(BrowserBench|Visits)\(/.test(text));

/** The Python libraries that a test file compares with or runs: `peft` where it names no other. */
export function referenceLibrariesOf(file: string): ReferenceLibrary[] {
  const text = textsOf(file).join('\n');
  if (!/\b(runPython|runPythonJson|pythonEnvironment)\b/.test(text)) return [];
  const others = referenceLibraries.filter((library) => text.includes(`library: '${library}'`));
  // A server is not a library to compare with.
  const servers = (['moto', 'tracking'] as const).filter((name) =>
    text.includes(`pythonEnvironment(undefined, '${name}')`),
  );
  if (servers.length > 0) return [...servers];
  return [...new Set<ReferenceLibrary>(['peft', ...others])];
}

/** The texts of a test file and of its imports by path that exist for tests only: below test/ or in a folder named `testing`. */
function textsOf(file: string, seen = new Set<string>()): string[] {
  // Tests of imports have imports of missing files in their strings.
  if (seen.has(file) || !existsSync(file)) return [];
  seen.add(file);
  const text = readFileSync(file, 'utf8');
  const imported = [...text.matchAll(/(?:from|import) '(\.[^']+\.ts)'/g)]
    .map(([, path]) => join(dirname(file), path!))
    .filter((path) => /(?<!scripts)\/test\/|\/testing\//.test(path));
  return [text, ...imported.flatMap((path) => textsOf(path, seen))];
}
