/**
 * The wall that a step stands before, as a side of a lock-step: for each line of standard input the seconds that the step's matrix
 * products take at the speed of large ones of its shape, measured there and then. usage: wall.ts PLAN.json
 * Reads a WallPlan.
 */
import { measureSpeed } from '@graft/peft-core';
import { answerSteps, readPlan } from './answer-steps.ts';
import type { WallPlan } from './sides.ts';

const { precision, shape, flops } = await readPlan<WallPlan>();
await answerSteps(async () => ({ seconds: flops / (await measureSpeed(precision, shape)), loss: 0 }));
