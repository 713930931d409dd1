import { execFile } from 'node:child_process';
import { CardFault, cardFaultIn, wordsOf } from '../faults/card-fault.ts';

/** A call takes up to a second, or tens of seconds where each call loads the driver (no persistence mode). */
const patienceMilliseconds = 30_000;

/** Runs nvidia-smi and returns its output. Throws `CardFault` where nvidia-smi is missing or fails, with its output in the message. */
export async function askSmi(args: readonly string[]): Promise<string> {
  const { error, stdout, stderr } = await new Promise<{
    error: (Error & { code?: number | string | null; killed?: boolean }) | null;
    stdout: string;
    stderr: string;
  }>((resolve) => {
    execFile('nvidia-smi', [...args], { timeout: patienceMilliseconds }, (error, stdout, stderr) =>
      resolve({ error: error as never, stdout, stderr }),
    );
  });
  if (!error) return stdout;
  if (error.code === 'ENOENT') throw new CardFault('gpu_tool_missing', 'There is no nvidia-smi on the PATH.');
  if (error.killed)
    throw new CardFault(
      'gpu_tool_failed',
      `nvidia-smi did not answer within ${patienceMilliseconds / 1000} s.`,
    );
  const status = typeof error.code === 'number' ? error.code : null;
  const text = `${stderr}\n${stdout}`;
  const words = wordsOf(text) || error.message;
  throw new CardFault(
    cardFaultIn(text, status) ?? 'gpu_tool_failed',
    `nvidia-smi failed with status ${error.code}: ${words}`,
  );
}
