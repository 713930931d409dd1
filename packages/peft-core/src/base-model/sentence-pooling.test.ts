import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import type { GraftError } from '../errors.ts';
import { tempFolder } from '../testing/temp-folder.ts';
import { readSentencePooling } from './sentence-pooling.ts';

const at = tempFolder();
let count = 0;

/** Creates a folder with these modules after the transformer, and this pooling config. */
function folderOf(kinds: string[], pooling: Record<string, unknown>): string {
  const name = `model-${count++}`;
  mkdirSync(at(name, '1_Pooling'), { recursive: true });
  const modules = ['Transformer', ...kinds].map((kind, idx) => ({
    idx,
    name: String(idx),
    path: idx === 0 ? '' : `${idx}_${kind}`,
    type: `sentence_transformers.models.${kind}`,
  }));
  writeFileSync(at(name, 'modules.json'), JSON.stringify(modules));
  writeFileSync(at(name, '1_Pooling', 'config.json'), JSON.stringify(pooling));
  return at(name);
}

test('each mode, with and without normalising', async () => {
  const modes = { cls_token: 'first', lasttoken: 'last', mean_tokens: 'mean' };
  for (const [field, pooling] of Object.entries(modes)) {
    const config = { pooling_mode_max_tokens: false, [`pooling_mode_${field}`]: true };
    assert.deepEqual(await readSentencePooling(folderOf(['Pooling'], config)), {
      pooling,
      normalise: false,
      includePrompt: true,
    });
    const normalised = folderOf(['Pooling', 'Normalize'], config);
    assert.deepEqual(await readSentencePooling(normalised), {
      pooling,
      normalise: true,
      includePrompt: true,
    });
  }
  for (const [mode, pooling] of Object.entries({ cls: 'first', lasttoken: 'last', mean: 'mean' }))
    for (const pooling_mode of [mode, [mode]])
      assert.deepEqual(await readSentencePooling(folderOf(['Pooling'], { pooling_mode })), {
        pooling,
        normalise: false,
        includePrompt: true,
      });
  const unset = folderOf(['Pooling'], { pooling_mode_max_tokens: false });
  assert.deepEqual(await readSentencePooling(unset), {
    pooling: 'mean',
    normalise: false,
    includePrompt: true,
  });
  const apart = folderOf(['Pooling'], { pooling_mode: 'mean', include_prompt: false });
  assert.equal((await readSentencePooling(apart))!.includePrompt, false);
  mkdirSync(at('plain'));
  assert.equal(await readSentencePooling(at('plain')), null);
});

test('what Graft has not is named', async () => {
  const refused = async (folder: string, pattern: RegExp) =>
    assert.rejects(
      readSentencePooling(folder),
      (error: GraftError) => error.code === 'unsupported_model' && pattern.test(error.message),
    );
  const mean = { pooling_mode_mean_tokens: true };
  await refused(folderOf(['Pooling', 'Dense'], mean), /modules\.json has a Dense/);
  await refused(folderOf(['Router', 'Pooling'], mean), /modules\.json has a Router/);
  await refused(folderOf([], mean), /names no folder of a Pooling/);
  await refused(folderOf(['Pooling'], { pooling_mode_max_tokens: true }), /pooling_mode_max_tokens/);
  await refused(folderOf(['Pooling'], { pooling_mode: 'weightedmean' }), /weightedmean/);
  await refused(folderOf(['Pooling'], { pooling_mode: ['cls', 'mean'] }), /cls, mean/);
  await refused(
    folderOf(['Pooling'], { ...mean, pooling_mode_cls_token: true }),
    /has pooling_mode mean, cls;/,
  );
  const outside = folderOf(['Pooling'], mean);
  const modules = [{ path: '../other', type: 'sentence_transformers.models.Pooling' }];
  writeFileSync(path.join(outside, 'modules.json'), JSON.stringify(modules));
  await refused(outside, /names no folder of a Pooling/);
});
