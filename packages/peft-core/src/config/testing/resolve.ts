import assert from 'node:assert/strict';
import type { GraftError } from '../../errors.ts';
import { parsePeftConfig } from '../peft-config.ts';
import { resolveTraining, type TrainingRequest } from '../resolve-training.ts';

export const peft = parsePeftConfig({ peft_type: 'LORA', lora_alpha: 16 });

/** Resolves the training of a request, by default for 240 examples. */
export const resolve = (request: Partial<TrainingRequest> = {}) =>
  resolveTraining({ peft, exampleCount: 240, ...request });

/** Asserts that such a request is rejected. */
export const rejects = (request: Partial<TrainingRequest>, code: string, message: RegExp) =>
  assert.throws(
    () => resolve(request),
    (error: GraftError) => error.code === code && message.test(error.message),
  );
