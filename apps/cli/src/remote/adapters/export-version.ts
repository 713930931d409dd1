import { existsSync } from 'node:fs';
import { printAnswer } from '../../answer.ts';
import { catchInterrupts, INTERRUPTED } from '../../interrupts.ts';
import type { Output } from '../../output.ts';
import { connect, type RemoteOptions } from '../connect.ts';
import { checkOutput, type SaveOptions } from './save-options.ts';
import { awaitExport, createExport, type ExportRequest, saveExport } from './written-export.ts';

/** True where an argument names a version on the service: a model name, a job or an adapter's id. An existing folder takes precedence. */
export const isVersionName = (name: string): boolean => /^(ft:|ftjob-|adpt-)/.test(name) && !existsSync(name);

/**
 * Creates an export on the service, waits until it is written, and downloads it. The same command continues after an interruption, since
 * the same request returns the same export.
 */
export async function exportVersion(
  output: Output,
  name: string,
  options: RemoteOptions & ExportRequest & SaveOptions,
): Promise<void> {
  checkOutput(options);
  const client = await connect(options);
  const created = await createExport(client, name, options);
  const { signal, release } = catchInterrupts();
  output.note(`Exporting ${name} as ${created.format} on the service: ${created.id}`);
  const made = await awaitExport(client, created, signal)
    .catch((error) => {
      if (!signal.aborted) throw error;
      return null;
    })
    .finally(release);
  if (made === null) {
    output.note(
      `Detached; the service continues. Run the same command again to download it, or cancel it:\n  graft exports cancel ${name} ${created.id}`,
    );
    process.exitCode = INTERRUPTED;
    return;
  }
  printAnswer(options, await saveExport(client, made, options));
}
