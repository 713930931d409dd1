import { invocationOf, runtimesFor } from '@graft/peft-core/config';
import type { AdapterVersion } from '../../adapters/adapter.ts';
import type { ArtifactStore } from '../../storage/artifact-store.ts';
import { type Runtime, RuntimeFault } from '../runtimes/runtime.ts';
import { adapterFiles, type VersionFiles } from './shared-folder.ts';

/** Returns the files of a version for a runtime. Throws RuntimeFault with the reason why the runtime cannot hold it. */
export function filesFor(
  { artifacts }: { artifacts: ArtifactStore },
  { title, holds }: Pick<Runtime, 'title' | 'holds'>,
  { peft, number, artifact, files, corruptAt }: AdapterVersion,
): VersionFiles {
  const version = `Version ${number}`;
  if (corruptAt) throw new RuntimeFault('refused', `${version} is damaged: move the tag to another version.`);
  if (invocationOf(peft))
    throw new RuntimeFault(
      'refused',
      `${title} would apply ${version} to whole prompts, and it is active from its alora_invocation_tokens on: Graft and HF PEFT serve it, and llama-server as gguf-lora.`,
    );
  if (!runtimesFor(peft).includes(holds))
    throw new RuntimeFault(
      'refused',
      `${title} does not hold ${version}: it takes low-rank updates of linear layers with one rank and scale, without magnitudes, biases, token tables and modules saved in full. Export the version as peft with pad_rank and upload that, or export merged weights.`,
    );
  const missing = adapterFiles.find((file) => !files.some(({ path }) => path === file));
  if (missing) throw new RuntimeFault('refused', `${version} has no ${missing}.`);
  return {
    sizes: files.filter(({ path }) => adapterFiles.some((file) => file === path)),
    open: async (file) => await artifacts.open(artifact, file),
  };
}
