/** Exit code of a command that Ctrl-C ended, as shells count (128 + SIGINT). */
export const INTERRUPTED = 130;

/**
 * Aborts at the first Ctrl-C (or SIGTERM), so that the command can stop in order. A second one ends it at once.
 * Call `release` when there is nothing more to interrupt.
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
