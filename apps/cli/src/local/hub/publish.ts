import { basename, resolve } from 'node:path';
import type { Command } from 'commander';
import { bytes, duration } from '../../draw/quantities.ts';
import { catchInterrupts, INTERRUPTED } from '../../interrupts.ts';
import { createOutput } from '../../output.ts';
import { type VerbOptions, verb } from '../../verb.ts';

interface Options extends VerbOptions {
  public?: boolean;
  title?: string;
  card: boolean;
}

export function addPublishVerb(program: Command): void {
  const publishes =
    'publish a folder, such as an adapter or an export, on the Hugging Face Hub (with HF_TOKEN), as one commit';
  const examples = ['my-adapter my-org/poet', 'merged-model my-org/poet-merged --public'];
  verb(program, 'publish <folder> <repository>', publishes, ...examples)
    .option('--public', 'permit a public repository, and create it so; otherwise it must be private')
    .option('--title <title>', "title of the commit (default: 'Add' and the folder's name)")
    .option('--no-card', 'add no model card; a folder that has a README.md keeps it in any case')
    .action(publish);
}

async function publish(folder: string, repository: string, options: Options): Promise<void> {
  const output = createOutput(options);
  const began = performance.now();
  const { signal, release } = catchInterrupts();
  try {
    const { hubEndpoint, publishFolder, readLicense } = await import('@graft/peft-core/files');
    const { folderCard } = await import('@graft/peft-core/exports');
    output.note(`Publishing ${folder} as ${repository}`);
    const { HF_ENDPOINT, HF_TOKEN } = process.env;
    const hub = { endpoint: hubEndpoint(HF_ENDPOINT), token: HF_TOKEN ?? '', fetch };
    const card =
      options.card && HF_TOKEN
        ? // A folder that cannot be read is reported by `publishFolder`.
          await folderCard(resolve(folder), repository, (id) => readLicense(hub, id, signal)).catch(
            (error: NodeJS.ErrnoException) => {
              if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return null;
              throw error;
            },
          )
        : null;
    if (card !== null) output.note('The folder has no README.md: a model card is added.');
    const published = await publishFolder(resolve(folder), {
      repository,
      isPublic: options.public ?? false,
      ...(card !== null && { texts: new Map([['README.md', card]]) }),
      title: options.title ?? `Add ${basename(resolve(folder))}`,
      signal,
    });
    const seconds = (performance.now() - began) / 1_000;
    output.result({ repository, seconds, ...published }, () =>
      published.changed === 0
        ? `${repository} has all of these files already: ${published.url}`
        : `Published ${bytes(published.bytes)} in ${duration(seconds)}: ${published.url}`,
    );
  } catch (error) {
    if (!signal.aborted) throw error;
    output.note(`Interrupted: repeat the command to continue.`);
    process.exitCode = INTERRUPTED;
  } finally {
    release();
  }
}
