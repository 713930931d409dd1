import { tarEnd, tarFilling, tarHeader } from '../examples/containers/tar.ts';
import type { HubFile } from './hub-files.ts';

/** The bytes of a tar archive with the shards of a split, each read when it is its turn. */
export async function* archiveOf(
  shards: readonly { file: HubFile; content: () => AsyncIterable<Buffer> }[],
): AsyncGenerator<Buffer> {
  for (const { file, content } of shards) {
    yield tarHeader(file.path, file.size);
    yield* content();
    yield tarFilling(file.size);
  }
  yield tarEnd();
}
