import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { graftAdmin } from '../audit/actor.ts';
import type { Services } from '../services.ts';
import { openTestServices } from '../testing/open-test-services.ts';
import { admitBaseModel, forgetBaseModel } from './admit-base-model.ts';

let services: Services;
before(async () => {
  services = await openTestServices();
});
after(async () => await services?.close());

test('the weights of the first use are the only ones, until the operator says otherwise', async () => {
  const of = (digit: string) => ({ id: 'tiny', digest: async () => digit.repeat(64) });
  const [one, two] = await Promise.all([
    admitBaseModel(services, of('a')),
    admitBaseModel(services, of('a')),
  ]);
  assert.deepEqual([one, two], ['a'.repeat(64), 'a'.repeat(64)]);
  await assert.rejects(admitBaseModel(services, of('b')), {
    code: 'base_model_changed',
    message: /graft admin base-models forget tiny/,
  });
  await admitBaseModel(services, of('a'));
  await admitBaseModel(services, { id: 'other', digest: async () => 'b'.repeat(64) });
  assert.deepEqual(
    (await services.db.baseModel.findMany({ orderBy: { id: 'asc' } })).map(({ id, digest }) => [
      id,
      digest[0],
    ]),
    [
      ['other', 'b'],
      ['tiny', 'a'],
    ],
  );
  assert.equal(await forgetBaseModel(services, 'tiny', graftAdmin), true);
  assert.equal(await forgetBaseModel(services, 'tiny', graftAdmin), false);
  await admitBaseModel(services, of('b'));
});
