// Processes that the bootstrap starts and waits for: npm, pip, compilers, steps written in TypeScript.
import { spawn } from 'node:child_process';

/** @type {Set<import('node:child_process').ChildProcess>} */
const running = new Set();
/** @type {(pid: number) => void} */
let onStart = () => {};

/** Calls `listener` with the pid of each process that is started from now on. @param {(pid: number) => void} listener */
export function whenChildStarts(listener) {
  onStart = listener;
}

/** `spawn`, of a process that `endChildren` ends with this one. @type {typeof spawn} */
export const startChild = (command, args, options) => {
  const child = spawn(command, args, options);
  running.add(child);
  if (child.pid !== undefined) onStart(child.pid);
  for (const event of ['exit', 'error']) child.once(event, () => running.delete(child));
  return child;
};

/** @param {NodeJS.Signals} signal */
export function endChildren(signal) {
  for (const child of running) child.kill(signal);
}

/**
 * Calls `onEnd` when the process that started this one has ended, even by SIGKILL: npm, where npm started this one, or one that opened
 * a channel to it. Where neither did, nothing is reported: a shell may leave its commands running.
 * @param {() => void} onEnd
 */
export function whenParentEnds(onEnd) {
  if (process.channel) {
    process.once('disconnect', onEnd);
    process.channel.unref();
  } else if (process.env.npm_lifecycle_event) {
    const parent = process.ppid;
    const timer = setInterval(() => {
      if (process.ppid === parent) return;
      clearInterval(timer);
      onEnd();
    }, 500);
    timer.unref();
  }
}
