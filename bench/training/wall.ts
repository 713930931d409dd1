/**
 * The wall that a step stands before, as a side of a lock-step, by a WallPlan: for each step the seconds that its matrix products take at
 * the speed of large ones of its shape, measured there and then.
 */
import { measureSpeed } from '@graft/peft-core';
import { answerSteps, readPlan } from '../../scripts/measuring/processes.ts';
import type { WallPlan } from './sides.ts';

const { precision, shape, flops } = await readPlan<WallPlan>();
await answerSteps(async () => ({ seconds: flops / (await measureSpeed(precision, shape)), loss: 0 }));
