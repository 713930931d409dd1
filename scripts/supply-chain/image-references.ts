import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..', '..');

/** Where images of others are named, and the line that does. */
const files: Record<string, RegExp> = {
  'docker-compose.yml': /^( +image: )(\S+)$/gm,
  'docker/Dockerfile': /^(ARG NODE_IMAGE=)(\S+)$/gm,
};

export interface ImageReference {
  file: string;
  /** `name:tag`. */
  image: string;
  /** Digest of the index that lists the image for every architecture. Null: none is named. */
  digest: string | null;
}

export function readImages(): ImageReference[] {
  return Object.entries(files).flatMap(([file, line]) =>
    [...readFileSync(join(root, file), 'utf8').matchAll(line)].map(([, , whole]) => {
      const [image, digest = null] = whole!.split('@') as [string, string?];
      return { file, image, digest };
    }),
  );
}

/** Names the digest of each image, by its `name:tag`; one that is not known stays as it is. */
export function writeDigests(digests: ReadonlyMap<string, string>): void {
  for (const [file, line] of Object.entries(files)) {
    const text = readFileSync(join(root, file), 'utf8');
    const pinned = text.replace(line, (whole, before: string, reference: string) => {
      const image = reference.split('@')[0]!;
      const digest = digests.get(image);
      return digest ? `${before}${image}@${digest}` : whole;
    });
    if (pinned !== text) writeFileSync(join(root, file), pinned);
  }
}
