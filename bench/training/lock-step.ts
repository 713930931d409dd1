import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

/** What a side says when its model is loaded, and after each step. Bytes, and `cpu`'s seconds of all threads, are of its process. */
export type Ready = { ready: true };
export type Step = { seconds: number; cpu?: number; loss: number; resident: number; peak: number };

/**
 * A long-lived process that takes one training step for each line `go` it is sent, and answers each with a line of JSON. Two of
 * them take steps in turn: these machines change speed by 2× within minutes, and a pair of steps meets the same machine.
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

  constructor(name: string, command: string, args: string[], env: Record<string, string | undefined>) {
    this.name = name;
    this.#child = spawn(command, args, {
      stdio: ['pipe', 'pipe', 'inherit'],
      env: { ...process.env, ...env },
    });
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
