import { execFileSync } from 'node:child_process';
import { undoAtExit } from './started.ts';

const ip = (...args: string[]) => execFileSync('ip', args, { stdio: ['ignore', 'pipe', 'pipe'] });

/** Namespaces of this process so far. */
let made = 0;

/** A network namespace for one process, with one virtual cable to this machine. */
export class NetworkNamespace {
  /** The command that runs something in it. */
  readonly wrapper: string[];
  /** This machine's address as seen from the namespace. */
  readonly host: string;
  /** The namespace's address as seen from this machine. */
  readonly address: string;
  readonly #cable: string;
  readonly #undo: () => void;

  constructor() {
    const index = ++made;
    const name = `graft-chaos-${process.pid}-${index}`;
    // Interface names have at most 15 characters.
    const suffix = `${process.pid % 100_000}-${index}`;
    this.#cable = `gc-${suffix}`;
    const inner = `gi-${suffix}`;
    // 10.83.x.y/30: a network of two.
    const net = (process.pid * 7 + index) % 16_384;
    const at = (offset: number) => `10.83.${net >> 6}.${(net & 63) * 4 + offset}`;
    this.host = at(1);
    this.address = at(2);
    this.wrapper = ['ip', 'netns', 'exec', name];
    ip('netns', 'add', name);
    this.#undo = undoAtExit(() => {
      // Deletes the cable too.
      ip('netns', 'delete', name);
    });
    ip('link', 'add', this.#cable, 'type', 'veth', 'peer', 'name', inner, 'netns', name);
    ip('address', 'add', `${this.host}/30`, 'dev', this.#cable);
    ip('link', 'set', this.#cable, 'up');
    for (const args of [
      ['address', 'add', `${this.address}/30`, 'dev', inner],
      ['link', 'set', inner, 'up'],
      ['link', 'set', 'lo', 'up'],
    ]) {
      ip('-netns', name, ...args);
    }
  }

  /** Unplugs the cable: nothing passes, and neither end is notified. */
  pull(): void {
    ip('link', 'set', this.#cable, 'down');
  }

  plug(): void {
    ip('link', 'set', this.#cable, 'up');
  }

  close(): void {
    this.#undo();
  }
}
