/**
 * Compares the digests of the images that docker-compose.yml and the Dockerfile name with what the tags lead to now, as Docker finds
 * it: `npm run pin:images`. With `--write` the files get the digests of now. Needs Docker with buildx, and the images' registries.
 */
import { spawnSync } from 'node:child_process';
import { readImages, writeDigests } from './image-references.ts';

const isWriting = process.argv.includes('--write');
const digests = new Map<string, string>();
let unknown = 0;
let different = 0;
for (const { image, digest } of readImages()) {
  const asked = spawnSync(
    'docker',
    ['buildx', 'imagetools', 'inspect', image, '--format', '{{.Manifest.Digest}}'],
    { encoding: 'utf8', timeout: 60_000 },
  );
  const found = asked.stdout?.trim() ?? '';
  if (asked.status !== 0 || !/^sha256:[0-9a-f]{64}$/.test(found)) {
    const reason = asked.error?.message ?? asked.stderr.trim().split('\n').at(-1);
    console.log(`${image}: not reachable (${reason})`);
    unknown += 1;
    continue;
  }
  digests.set(image, found);
  if (found !== digest) different += 1;
  console.log(`${image}: ${found}${found === digest ? '' : `, and named is ${digest ?? 'none'}`}`);
}
if (isWriting) writeDigests(digests);
if (unknown > 0)
  console.log(`${unknown} of the images could not be looked up: their digests stay as they are.`);
process.exitCode = different > 0 && !isWriting ? 1 : 0;
