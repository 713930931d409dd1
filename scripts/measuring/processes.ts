/** Measurements in separate processes, whose memory is their own. A process reads its plan from the first line of its standard input. */
import { type ChildProcess, spawn } from 'node:child_process';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { pythonEnvironment, type ReferenceLibrary } from '../golden/environment/python-environment.ts';
import { withParent } from '../golden/environment/run-python.ts';

export interface Program {
  command: string;
  args: string[];
  /** Added to this process's; undefined takes a variable away. */
  env: Record<string, string | undefined>;
}

const runner = path.join(import.meta.dirname, '../compile/run.mjs');

/** A TypeScript file that computes with Graft. */
export const typeScript = (file: string, env: Program['env'] = {}, args: string[] = []): Program => ({
  command: process.execPath,
  args: [runner, file, ...args],
  env: { TF_CPP_MIN_LOG_LEVEL: process.env.TF_CPP_MIN_LOG_LEVEL ?? '2', ...env },
});

/** A Python script, in the environment of a library. */
export const python = async (
  script: string,
  library: ReferenceLibrary = 'peft',
  env: Program['env'] = {},
): Promise<Program> => ({
  command: await pythonEnvironment(undefined, library),
  args: withParent(script),
  // Settings that some machines make for old OpenBLAS builds slow a current one down.
  env: { PYTHONWARNINGS: 'ignore', OPENBLAS_CORETYPE: undefined, OPENBLAS_L2_SIZE: undefined, ...env },
});

/** Starts the program with a channel by which it notices that this process has ended, and writes the plan to it. */
function start({ command, args, env }: Program, plan: unknown, stderr: 'inherit' | number): ChildProcess {
  const stdio = ['pipe', 'pipe', stderr, 'ipc'] as const;
  const child = spawn(command, args, { stdio: [...stdio], env: { ...process.env, ...env } });
  // A process that ends early says why; the pipe to it need not.
  child.stdin!.on('error', () => {}).write(`${JSON.stringify(plan)}\n`);
  return child;
}

/**
 * Resolves to the JSON of the last line of the program's standard output.
 * @param stderr where its standard error goes: shown, or a file descriptor
 * @param seconds after which it is killed; default: never
 */
export async function runForResult<T>(
  program: Program,
  plan: unknown = null,
  { stderr = 'inherit', seconds }: { stderr?: 'inherit' | number; seconds?: number } = {},
): Promise<T> {
  const child = start(program, plan, stderr);
  child.stdin!.end();
  const timer = seconds && setTimeout(() => child.kill('SIGKILL'), 1000 * seconds);
  let output = '';
  child.stdout!.setEncoding('utf8').on('data', (text: string) => {
    output += text;
  });
  const ended = await new Promise<number | string | null>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => resolve(code ?? signal));
  });
  clearTimeout(timer);
  const limit = seconds && ended === 'SIGKILL' ? `; it may take ${seconds} s` : '';
  if (ended !== 0) throw new Error(`${program.args.join(' ')} ended with ${ended}${limit}`);
  return JSON.parse(output.trim().split('\n').at(-1) ?? '');
}

/** Answers of a side when its model is loaded, and after each step. Bytes, and `cpu`'s seconds of all threads, are of its process. */
export type Ready = { ready: true };
export type Step = { seconds: number; cpu?: number; loss: number; resident: number; peak: number };

/**
 * A long-lived process that takes one training step for each line `go` it is sent, and answers each with a line of JSON. Two of
 * them take steps in turn: machines change speed by 2× within minutes, and a pair of steps meets the same machine.
 */
export class Side {
  readonly name: string;
  readonly steps: Step[] = [];
  /** Seconds from its start to its first step's end. */
  firstStepAfter = Number.NaN;
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;
  readonly #started = performance.now();
  #exit: number | null | undefined;

  constructor(name: string, program: Program, plan: unknown) {
    this.name = name;
    this.#child = start(program, plan, 'inherit');
    this.#child.on('close', (code) => {
      this.#exit = code;
    });
    this.#lines = createInterface({ input: this.#child.stdout! })[Symbol.asyncIterator]();
  }

  async #next<T>(): Promise<T> {
    const { value, done } = await this.#lines.next();
    if (done) throw new Error(`the side ${this.name} ended (${this.#exit ?? 'without a code'})`);
    return JSON.parse(value);
  }

  async ready(): Promise<void> {
    await this.#next<Ready>();
  }

  async step(): Promise<void> {
    this.#child.stdin!.write('go\n');
    this.steps.push(await this.#next<Step>());
    if (this.steps.length === 1) this.firstStepAfter = (performance.now() - this.#started) / 1000;
  }

  async end(): Promise<void> {
    this.#child.stdin!.end();
    if (this.#exit === undefined) await new Promise((resolve) => this.#child.once('close', resolve));
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }
}

/** `count` steps of all sides in turn; which one goes first changes from step to step. */
export async function inLockStep(
  sides: Side[],
  count: number,
  onStep: (step: number) => void,
): Promise<void> {
  try {
    for (const side of sides) await side.ready();
    for (let i = 0; i < count; i++) {
      for (let k = 0; k < sides.length; k++) await sides[(i + k) % sides.length]!.step();
      onStep(i + 1);
    }
    for (const side of sides) await side.end();
  } catch (error) {
    for (const side of sides) side.kill();
    throw error;
  }
}

/** Repeats some work in `count` lanes; each starts again when it has ended, with the next number. Ends where `isOver` holds. */
export async function inLanes(
  count: number,
  isOver: (next: number) => boolean,
  work: (i: number) => Promise<void>,
): Promise<void> {
  let next = 0;
  const lane = async () => {
    while (!isOver(next)) await work(next++);
  };
  await Promise.all(Array.from({ length: count }, lane));
}

let input: AsyncIterator<string> | undefined;

/** In the process that measures: the next line of its standard input. */
async function nextLine(): Promise<string | undefined> {
  input ??= createInterface({ input: process.stdin })[Symbol.asyncIterator]();
  const { value, done } = await input.next();
  return done ? undefined : value;
}

/** In the process that measures: its plan. */
export const readPlan = async <Plan>(): Promise<Plan> => JSON.parse((await nextLine()) ?? '');

/** In the process that measures: its result, or a part of it. */
export const answer = (result: object): void => console.log(JSON.stringify(result));

/** A side's part of a lock-step run: answers that it is ready, then takes a step for each line `go`, until the steps end. */
export async function answerSteps(
  step: () => Promise<Pick<Step, 'seconds' | 'cpu' | 'loss'>>,
): Promise<never> {
  answer({ ready: true });
  while ((await nextLine()) === 'go') {
    const taken = await step();
    const { maxRSS } = process.resourceUsage();
    answer({ ...taken, resident: process.memoryUsage.rss(), peak: maxRSS * 1024 });
  }
  process.exit(0);
}
