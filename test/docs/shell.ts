import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { StringDecoder } from 'node:string_decoder';

/** Output and exit code of a command; null: it exceeded the time limit. */
export interface Ran {
  output: string;
  code: number | null;
}

/** Reads commands from file descriptor 3, each terminated by a zero byte, and writes exit codes to 4. Aliases work as in a terminal. */
const loop = `shopt -s expand_aliases; set -o pipefail
while IFS= read -r -d '' command <&3; do
  eval "$command" <<<"$GRAFT_API_KEY" 3<&- 4>&-
  printf '%s\\n' "$?" >&4
done`;

/** A shell that keeps variables and aliases between commands. Commands that read standard input get the API key. */
export class Shell {
  private child: ChildProcess | null = null;
  private readonly cwd: string;
  private readonly env: NodeJS.ProcessEnv;
  /** Time limit of one command. */
  private readonly limitSeconds: number;

  constructor(cwd: string, env: NodeJS.ProcessEnv, limitSeconds: number) {
    this.cwd = cwd;
    this.env = env;
    this.limitSeconds = limitSeconds;
  }

  async run(command: string): Promise<Ran> {
    const child = this.child ?? this.start();
    const [, stdout, stderr, commands, codes] = child.stdio;
    let output = '';
    const readers = [stdout, stderr].map((stream) => {
      const decoder = new StringDecoder('utf8');
      const read = (chunk: Buffer) => {
        output += decoder.write(chunk);
      };
      stream!.on('data', read);
      return () => stream!.off('data', read);
    });
    const code = await new Promise<number | null>((resolve) => {
      const timer = setTimeout(() => {
        this.close();
        resolve(null);
      }, this.limitSeconds * 1000);
      const finish = (given: number) => {
        clearTimeout(timer);
        resolve(given);
      };
      codes!.once('data', (chunk: Buffer) => finish(Number(chunk.toString())));
      // The command called `exit`, or has a syntax error.
      child.once('close', (given) => {
        this.child = null;
        finish(given ?? 1);
      });
      (commands as NodeJS.WritableStream).write(`${command}\0`);
    });
    // The last output may arrive after the exit code.
    await new Promise((resolve) => setTimeout(resolve, 20));
    for (const stop of readers) stop();
    child.removeAllListeners('close');
    return { output, code };
  }

  close(): void {
    if (this.child?.pid) process.kill(-this.child.pid, 'SIGKILL');
    this.child = null;
  }

  private start(): ChildProcess {
    this.child = spawn('bash', ['-c', loop], {
      cwd: this.cwd,
      env: this.env,
      stdio: ['ignore', 'pipe', 'pipe', 'pipe', 'pipe'],
      // A separate process group, so that processes started by the shell end with it.
      detached: true,
    });
    return this.child;
  }
}

/** Splits a script into commands: one for each line, or for several lines where a command continues. */
export function splitCommands(script: string): string[] {
  const commands: string[] = [];
  let command = '';
  for (const line of script.split('\n')) {
    command += command ? `\n${line}` : line;
    if (line.endsWith('\\') || spawnSync('bash', ['-n', '-c', command]).status !== 0) continue;
    if (!/^\s*(#.*)?$/.test(command)) commands.push(command);
    command = '';
  }
  if (command.trim()) commands.push(command);
  return commands;
}
