import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GraftError } from '@graft/peft-core/config';
import { faultOf, trainingFault } from './child-fault.ts';

const files = { base: { id: 'tiny', path: '/srv/models/tiny' }, folders: ['/srv/data/artifacts/ab'] };
const otherwise = { code: 'training_failed', message: 'Training stopped.' };
const reported = (error: unknown) => {
  const { stack, ...rest } = faultOf(error, otherwise, files);
  assert.ok(stack, 'the log has where it happened');
  return rest;
};

test("a team's own fault is reported unchanged", () => {
  const error = new GraftError('example_too_long', 'line 3 has 5000 tokens', { param: 'training_file' });
  const { code, message, param, fault } = error;
  assert.deepEqual(reported(error), { code, message, param, fault });
});

test('files of the base model: without their path, and nobody of the team is to blame', () => {
  const broken = new GraftError(
    'invalid_safetensors',
    '/srv/models/tiny/model.safetensors: header is not JSON',
  );
  assert.deepEqual(reported(broken), {
    code: 'invalid_safetensors',
    message:
      'The base model tiny cannot be used until the operator of this server repairs it: model.safetensors: header is not JSON',
    param: 'model',
    fault: 'system',
  });
  const shrunk = new GraftError('file_truncated', '/srv/models/tiny/model.safetensors ends at byte 9', {
    fault: 'system',
  });
  assert.deepEqual(reported(shrunk), {
    code: 'file_truncated',
    message: 'The base model tiny cannot be opened by the server.',
    param: 'model',
    fault: 'system',
  });
});

test("the server's own files, and unworded errors, are not reported at all", () => {
  const expected = { ...otherwise, param: null, fault: 'system' };
  const adapter = new GraftError('invalid_adapter', '/srv/data/artifacts/ab/adapter_config.json is not JSON');
  assert.deepEqual(reported(adapter), expected);
  assert.deepEqual(reported(new Error('ENOENT: /secret/path')), expected);
});

test('a fault of this machine is distinguished from one that the job may have caused', () => {
  const faultOfError = (message: string, code?: string) =>
    reported(Object.assign(new Error(message), { code })).fault;
  for (const code of ['EIO', 'ENOSPC', 'EACCES', 'EROFS', 'ESTALE', 'EMFILE'])
    assert.equal(faultOfError(code, code), 'environment');
  for (const message of [
    'CUDA_ERROR_NO_DEVICE: no CUDA-capable device is detected',
    'failed call to cuInit: UNKNOWN ERROR (303)',
    'CUDNN_STATUS_EXECUTION_FAILED',
  ]) {
    assert.equal(faultOfError(message), 'environment');
  }
  assert.equal(faultOfError('CUDA_ERROR_OUT_OF_MEMORY: out of memory'), 'system');
  assert.equal(faultOfError('ENOENT: no such file', 'ENOENT'), 'system');
  const cause = Object.assign(new Error('EIO: i/o error, read'), { code: 'EIO' });
  assert.equal(reported(new GraftError('checkpoint_unreadable', 'not read', { cause })).fault, 'environment');
  assert.doesNotMatch(reported(cause).message, /EIO|\//);
  const away = new GraftError('base_model_unavailable', 'It cannot be opened.', { fault: 'system' });
  assert.equal(reported(away).fault, 'environment', 'a model of the catalogue that is not there');
});

test('a card that fails has a code, and memory that ran out is the fault of the job that is trained', () => {
  const failed = (message: string, code?: string) => Object.assign(new Error(message), { code });
  const lost = failed('CUDA_ERROR_ECC_UNCORRECTABLE: uncorrectable ECC error encountered', 'INTERNAL');
  assert.deepEqual(reported(lost), {
    code: 'gpu_lost',
    message: 'The worker cannot continue: its GPU is lost.',
    param: null,
    fault: 'environment',
  });
  assert.equal(reported(failed('CUDNN_STATUS_EXECUTION_FAILED', 'INTERNAL')).code, 'gpu_failed');
  const full = failed('OOM when allocating tensor with shape[8,2048,11008]', 'RESOURCE_EXHAUSTED');
  const behind = new Error('worded', { cause: full });
  for (const error of [full, behind, failed('CUDA_ERROR_OUT_OF_MEMORY: out of memory', 'INTERNAL')]) {
    const { code, fault } = trainingFault(error, otherwise);
    assert.deepEqual([code, fault], ['out_of_memory', 'user']);
    // Not for a generation, where others use the memory.
    assert.deepEqual(reported(error), { ...otherwise, param: null, fault: 'system' });
  }
  assert.equal(trainingFault(failed('something else', 'INTERNAL'), otherwise).code, otherwise.code);
});
