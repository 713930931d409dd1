import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GraftError } from '@graft/peft-core/config';
import { faultOf } from './child-fault.ts';

const files = { base: { id: 'tiny', path: '/srv/models/tiny' }, folders: ['/srv/data/artifacts/ab'] };
const otherwise = { code: 'training_failed', message: 'Training stopped.' };
const told = (error: unknown) => {
  const { stack, ...rest } = faultOf(error, otherwise, files);
  assert.ok(stack, 'the log has where it happened');
  return rest;
};

test("a team's own fault is told as it is", () => {
  const error = new GraftError('example_too_long', 'line 3 has 5000 tokens', { param: 'training_file' });
  const { code, message, param, fault } = error;
  assert.deepEqual(told(error), { code, message, param, fault });
});

test('files of the base model: without their path, and nobody of the team is to blame', () => {
  const broken = new GraftError(
    'invalid_safetensors',
    '/srv/models/tiny/model.safetensors: header is not JSON',
  );
  assert.deepEqual(told(broken), {
    code: 'invalid_safetensors',
    message:
      'The base model tiny cannot be used until the operator of this server mends it: model.safetensors: header is not JSON',
    param: 'model',
    fault: 'system',
  });
  const shrunk = new GraftError('file_truncated', '/srv/models/tiny/model.safetensors ends at byte 9', {
    fault: 'system',
  });
  assert.deepEqual(told(shrunk), {
    code: 'file_truncated',
    message: 'The base model tiny cannot be opened by the server.',
    param: 'model',
    fault: 'system',
  });
});

test("the server's own files, and what nobody worded, are not told at all", () => {
  const expected = { ...otherwise, param: null, fault: 'system' };
  const adapter = new GraftError('invalid_adapter', '/srv/data/artifacts/ab/adapter_config.json is not JSON');
  assert.deepEqual(told(adapter), expected);
  assert.deepEqual(told(new Error('ENOENT: /secret/path')), expected);
});
