import { opendir, readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import type { NamedObject } from '../file-store.ts';
import { createdAtOf } from '../object-name.ts';

/** Lists the entries of the folders in `root` whose names match, with their creation times. */
export async function* listObjects(
  root: string,
  names: { folder: RegExp; object: RegExp },
): AsyncGenerator<NamedObject> {
  for (const prefix of await readdir(root).catch(() => [])) {
    if (!names.folder.test(prefix)) continue;
    for await (const { name } of await opendir(path.join(root, prefix))) {
      if (!names.object.test(name)) continue;
      yield { name, storedAt: createdAtOf(name) ?? (await stat(path.join(root, prefix, name))).mtime };
    }
  }
}
