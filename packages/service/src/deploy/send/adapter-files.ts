import { createWriteStream } from 'node:fs';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import { invocationOf, isHeldPadded, runtimesFor } from '@graft/peft-core/config';
import { writePaddedAdapter } from '@graft/peft-core/exports';
import type { AdapterVersion } from '../../adapters/adapter.ts';
import { type Runtime, RuntimeFault } from '../runtimes/runtime.ts';
import type { DeployServices } from './deploy-times.ts';
import { adapterFiles, type VersionFiles } from './shared-folder.ts';

type FileServices = Pick<DeployServices, 'artifacts' | 'baseModels'>;

/** Milliseconds to open a base model that is not on this machine yet. */
const openModelMs = 20_000;

/**
 * Returns the files of a version for a runtime: those of the adapter, or with one rank and scale for all updates if the runtime takes no
 * others. Throws RuntimeFault with the reason why the runtime cannot hold it.
 */
export function filesFor(
  services: FileServices,
  { title }: Pick<Runtime, 'title'>,
  version: AdapterVersion,
): VersionFiles {
  const { peft, number, files, corruptAt } = version;
  const named = `Version ${number}`;
  if (corruptAt) throw new RuntimeFault('refused', `${named} is damaged: move the tag to another version.`);
  if (invocationOf(peft))
    throw new RuntimeFault(
      'refused',
      `${title} would apply ${named} to whole prompts, and it is active from its alora_invocation_tokens on: Graft and HF PEFT serve it, and llama-server as gguf-lora.`,
    );
  const isHeld = runtimesFor(peft).includes(title);
  if (!isHeld && !isHeldPadded(peft, title))
    throw new RuntimeFault(
      'refused',
      `${title} does not hold ${named}: it takes low-rank updates of linear layers, without magnitudes, biases, token tables, experts and modules saved in full. Export merged weights.`,
    );
  const missing = adapterFiles.find((file) => !files.some(({ path: each }) => each === file));
  if (missing) throw new RuntimeFault('refused', `${named} has no ${missing}.`);
  return isHeld ? copied(services, version) : padded(services, version);
}

function copied({ artifacts }: FileServices, { artifact, files }: AdapterVersion): VersionFiles {
  return {
    sizes: files.filter(({ path: each }) => adapterFiles.some((file) => file === each)),
    write: async (folder, signal) => {
      for (const file of adapterFiles)
        await pipeline(await artifacts.open(artifact, file), createWriteStream(path.join(folder, file)), {
          signal,
        });
    },
  };
}

/** Only the base model's outline shows which pattern of a rank or scale applies to which module. */
function padded({ artifacts, baseModels }: FileServices, version: AdapterVersion): VersionFiles {
  const { artifact, baseModel } = version;
  return {
    sizes: adapterFiles.map((file) => ({ path: file, bytes: null })),
    write: async (folder, signal) => {
      const patience = AbortSignal.any([signal, AbortSignal.timeout(openModelMs)]);
      const model = await baseModels.get(baseModel, { signal: patience }).catch((error: unknown) => {
        signal.throwIfAborted();
        if (!patience.aborted) throw error;
        throw new RuntimeFault(
          'away',
          `The base model ${baseModel}, by which Graft gives all updates one rank, is still being fetched.`,
        );
      });
      if (!model)
        throw new RuntimeFault(
          'refused',
          `Version ${version.number} needs one rank and scale for all updates, which Graft computes by the base model ${baseModel}, and that is not on this server any more: ask its operator to add it.`,
        );
      const from = await artifacts.localFolder(artifact);
      await writePaddedAdapter(from, folder, { modelConfig: model.config, signal });
    },
  };
}
