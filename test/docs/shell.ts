import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { StringDecoder } from 'node:string_decoder';

/** What a command printed, and its exit code; null: it took too long. */
export interface Ran {
  output: string;
  code: number | null;
}

/** Reads commands from file descriptor 3, each ended by a zero byte, and writes their exit codes to 4. Aliases work as in a terminal. */
const loop = `shopt -s expand_aliases; set -o pipefail
while IFS= read -r -d '' command <&3; do
  eval "$command" <<<"$GRAFT_API_KEY" 3<&- 4>&-
  printf '%s\\n' "$?" >&4
done`;

/** A shell that keeps variables and aliases from one command to the next. Commands that read standard input get the API key. */
export class Shell {
  private child: ChildProcess | null = null;
  private readonly cwd: string;
  private readonly env: NodeJS.ProcessEnv;
  /** Of one command. */
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
      // `exit`, or a syntax error.
      child.once('close', (given) => {
        this.child = null;
        finish(given ?? 1);
      });
      (commands as NodeJS.WritableStream).write(`${command}\0`);
    });
    // What the command wrote last may arrive after its code.
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
      // Its own group, so that what it started ends with it.
      detached: true,
    });
    return this.child;
  }
}

/** The commands of a script: lines, joined where a command goes over several. */
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
