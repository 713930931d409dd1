import { readFileSync } from 'node:fs';
import { settings } from '../settings/sections.ts';
import type { Setting } from '../settings/setting.ts';

/** Each may be in a file instead, which a variable of its name and `_FILE` names. */
const secretSettings = [
  ...Object.entries<Setting>(settings)
    .filter(([, { secret, readBy }]) => secret && (readBy.includes('api') || readBy.includes('worker')))
    .map(([name]) => name),
  'AWS_SESSION_TOKEN',
];

/**
 * Puts secrets that lie in files into the environment of this process, where Postgres' and AWS' clients look for theirs: not into what
 * the system shows of it to others (`/proc/PID/environ`), and not into that of a process that is started `withoutFileSecrets`.
 * Throws one Error that names every faulty variable.
 */
export function readSecretFiles(env: NodeJS.ProcessEnv): void {
  const faults: string[] = [];
  for (const name of secretSettings) {
    const file = env[`${name}_FILE`];
    if (!file) continue;
    try {
      const secret = readFileSync(file, 'utf8').trimEnd();
      if (env[name] && env[name] !== secret)
        faults.push(`${name} and ${name}_FILE are both set: leave one out`);
      // An empty file is a setting that is not set, as compose makes it of an unset variable.
      else if (secret) env[name] = secret;
    } catch (error) {
      faults.push(`${name}_FILE cannot be read: ${(error as Error).message}`);
    }
  }
  if (faults.length > 0)
    throw new Error(`Faulty environment:\n${faults.map((fault) => `  ${fault}`).join('\n')}`);
}

/** For a process that reads the files itself. */
export function withoutFileSecrets(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !env[`${name}_FILE`]));
}
