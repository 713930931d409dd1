import { join } from 'node:path';
import { plansFor } from '../../../bench/training/plans.ts';
import { compare } from '../../../bench/training/report.ts';
import { type SideName, startSide } from '../../../bench/training/sides.ts';
import { inLockStep } from '../../measuring/processes.ts';
import type { CheckContext, Figures } from '../check.ts';
import { tasks } from '../models.ts';
import { needPyTorch } from '../pytorch.ts';

// More than those that the report does not count.
const stepsOf = { demo: 20, billion: 10, 'billion-nf4': 10, seven: 6, 'seven-nf4': 6, small: 5 };

/** Steps of one side of bench/training alone: a card's memory is not two sides' at once. */
export const stepTime =
  (task: keyof typeof tasks, side: SideName) =>
  async (context: CheckContext): Promise<Figures> => {
    const { device, precision, small, folder } = context;
    if (side === 'peft') await needPyTorch(device);
    if (side === 'qlora') await needPyTorch(device, 'quantised');
    const { model, workload } = await tasks[task](context);
    const steps = small ? stepsOf.small : stepsOf[task];
    const { tokens, ...plans } = await plansFor(workload, {
      model,
      precision,
      steps,
      outputDir: join(folder, 'adapter'),
      device: device.kind === 'gpu' ? 'cuda' : 'cpu',
    });
    const started = await startSide(side, plans, precision);
    await inLockStep([started], steps, () => {});
    const [figures] = compare({ name: workload.name, precision, tokens }, [started]).sides;
    const { seconds, tokensPerSecond, firstStepAfter, peakBytes, firstLoss, lastLoss } = figures!;
    if (!started.steps.every(({ loss }) => Number.isFinite(loss)))
      throw new Error(`losses: ${started.steps.map(({ loss }) => loss).join(' ')}`);
    return {
      step: `${(seconds * 1000).toFixed(1)} ms in ${precision}`,
      speed: `${tokensPerSecond.toFixed(0)} tokens/s`,
      'first step after': `${firstStepAfter.toFixed(1)} s`,
      'process memory': `${(peakBytes / 1e9).toFixed(2)} GB`,
      loss: `${firstLoss.toFixed(4)} to ${lastLoss.toFixed(4)}`,
    };
  };
