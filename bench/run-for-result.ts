import { spawn } from 'node:child_process';
import { join } from 'node:path';

/**
 * Runs a measurement in a separate process, with a channel by which it notices that this one has ended. Resolves to the JSON of its
 * last line of standard output.
 * @param env added to this process's; undefined takes a variable away
 * @param stderr where its standard error goes: shown, or a file descriptor
 */
export async function runForResult<T>(
  command: string,
  args: string[],
  env: Record<string, string | undefined>,
  stderr: 'inherit' | number = 'inherit',
): Promise<T> {
  const child = spawn(command, args, {
    stdio: ['ignore', 'pipe', stderr, 'ipc'],
    env: { ...process.env, ...env },
  });
  let output = '';
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    output += text;
  });
  const code = await new Promise<number | null>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', resolve);
  });
  if (code !== 0) throw new Error(`${command} ${args.join(' ')} failed (${code})`);
  return JSON.parse(output.trim().split('\n').at(-1) ?? '');
}

const runner = join(import.meta.dirname, '../scripts/compile/run.mjs');

/** The same for a TypeScript file that trains with Graft. */
export const runTypeScript = <T>(
  file: string,
  args: string[],
  env: Record<string, string>,
  stderr?: 'inherit' | number,
): Promise<T> =>
  runForResult(process.execPath, [runner, file, ...args], { TF_CPP_MIN_LOG_LEVEL: '2', ...env }, stderr);
