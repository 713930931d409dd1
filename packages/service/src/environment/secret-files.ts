import { readFileSync } from 'node:fs';
import { settings } from '../settings/sections.ts';
import type { Setting } from '../settings/setting.ts';

/** Each of these settings may be stored in a file named by the variable with the suffix `_FILE`. */
const secretSettings = [
  ...Object.entries<Setting>(settings)
    .filter(([, { secret, readBy }]) => secret && (readBy.includes('api') || readBy.includes('worker')))
    .map(([name]) => name),
  'AWS_SESSION_TOKEN',
];

/**
 * Copies secrets from files into `env` (`process.env`), where the clients of Postgres and AWS look for them. They do not appear in
 * `/proc/PID/environ`, nor in the environment of a process that is started `withoutFileSecrets`. Throws one Error that names every invalid
 * variable.
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
      // An empty file means that the setting is not set: Compose creates one for an unset variable.
      else if (secret) env[name] = secret;
    } catch (error) {
      faults.push(`${name}_FILE cannot be read: ${(error as Error).message}`);
    }
  }
  if (faults.length > 0)
    throw new Error(`Faulty environment:\n${faults.map((fault) => `  ${fault}`).join('\n')}`);
}

/** Returns the environment for a child process that reads the files itself. */
export function withoutFileSecrets(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !env[`${name}_FILE`]));
}
