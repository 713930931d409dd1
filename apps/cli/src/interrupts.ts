/** Exit code of a command that was ended by Ctrl-C, as in shells (128 + SIGINT). */
export const INTERRUPTED = 130;

/**
 * Aborts `signal` at the first Ctrl-C (or SIGTERM), so that the command can stop in order. A second one exits immediately. Call
 * `release` when there is nothing left to interrupt.
 */
export function catchInterrupts(): { signal: AbortSignal; release: () => void } {
  const controller = new AbortController();
  const onSignal = () => {
    if (controller.signal.aborted) process.exit(INTERRUPTED);
    controller.abort();
  };
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
  return {
    signal: controller.signal,
    release() {
      process.off('SIGINT', onSignal);
      process.off('SIGTERM', onSignal);
    },
  };
}
