import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { readAdapter, writeAdapter } from '@graft/peft-core/files';
import type { Cell } from './cells.ts';

const configName = 'adapter_config.json';

/**
 * An adapter folder of Graft against one of HF PEFT for the same configuration: adapter_config.json, whole, and both folders
 * read by Graft and written again. The README is a text for people, and each library's own.
 */
export function checkFiles(
  check: (what: string, body: () => Promise<void>) => void,
  {
    cell,
    model,
    graft,
    library,
    again,
  }: { cell: Cell; model: string; graft: string; library: string; again: string },
): void {
  // SELECTIVE is Graft's own: the Python side's folder is no library's.
  const hasLibrary = cell.config.peft_type !== 'SELECTIVE';
  if (hasLibrary)
    check("adapter_config.json is PEFT's, byte for byte", async () => {
      const [written, expected] = await Promise.all(
        [graft, library].map((folder) => readFile(join(folder, configName), 'utf8')),
      );
      assert.equal(inOneOrder(written!), inOneOrder(once(expected!)));
    });
  check('read and written again, the same bytes', async () => {
    for (const folder of hasLibrary ? [graft, library] : [graft]) {
      const { config, common, tensors, labels } = await readAdapter(folder);
      await writeAdapter(again, {
        peft: config,
        baseModelNameOrPath: common.base_model_name_or_path,
        tensors,
        labels,
      });
      assert.equal(common.base_model_name_or_path, model);
      const names = (await readdir(folder)).filter((name) => name !== 'README.md');
      assert.ok(names.length >= 2);
      for (const name of names) {
        const [written, before] = await Promise.all(
          [again, folder].map((each) => readFile(join(each, name), 'latin1')),
        );
        const expected = name === configName ? once(before!) : before!;
        assert.ok(written === expected, `${folder}/${name} has other bytes`);
      }
    }
  });
}

/** PEFT holds these as sets, which Python writes in another order in each process. */
function inOneOrder(config: string): string {
  const sets = ['target_modules', 'target_parameters', 'exclude_modules', 'feedforward_modules'];
  return withLists(config, sets, (items) => items.sort());
}

/** PEFT adds a classifier's heads to a soft prompt's list twice over. */
function once(config: string): string {
  return withLists(config, ['modules_to_save'], (items) => [...new Set(items)]);
}

/** The text with the lists of these fields changed, an item a line. */
function withLists(config: string, fields: string[], change: (items: string[]) => string[]): string {
  return config.replace(
    new RegExp(`("(?:${fields.join('|')})": \\[\\n)([^\\]]*)(\\n *\\])`, 'g'),
    (_, begin: string, items: string, end: string) =>
      `${begin}${change(items.split(',\n')).join(',\n')}${end}`,
  );
}
