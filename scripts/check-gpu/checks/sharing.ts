import { shareCards } from '../../../apps/worker/src/cards/share-card.ts';
import type { TrainerRecord } from '../../../apps/worker/src/training/trainer-protocol.ts';
import { median } from '../../measuring/report.ts';
import type { CheckContext, Figures } from '../check.ts';
import { tasks } from '../models.ts';
import { answerOf, recordsOf, startGenerator, startTrainer, trainingRequest } from './processes.ts';

/** A worker's trainer and generator at work on one device at once, beside each alone. */
export async function sharing(context: CheckContext): Promise<Figures> {
  const task = await tasks.demo(context);
  const steps = context.small ? 12 : 60;
  const { device } = context;
  const shares = shareCards({ trainers: [device], generator: device });
  const limits = { trainer: shares.trainer(device), generator: shares.generator };
  const trainer = startTrainer(context, limits.trainer);
  const generator = startGenerator(context, 1, limits.generator);
  /** Milliseconds that an answer takes, of 16 tokens where the model does not end it before. */
  const answer = async () => {
    const options = { prompt: 'Can we reserve a bike?', max_tokens: 16 };
    return (await answerOf(generator, task, context, options)).all;
  };
  const train = async (name: string) => {
    const times: number[] = [];
    await recordsOf(trainer, await trainingRequest(context, task, { name, steps }), (record) =>
      noteStep(times, record),
    );
    return median(times.slice(1).map((time, i) => time - times[i]!));
  };
  try {
    const stepAlone = await train('alone');
    await answer(); // loads the model
    const answersAlone = [await answer(), await answer()];

    let training = true;
    const together = train('together').finally(() => {
      training = false;
    });
    const answers: number[] = [];
    const answering = (async () => {
      while (training) answers.push(await answer());
    })();
    const [stepTogether] = await Promise.all([together, answering]);
    return {
      'step alone': `${stepAlone.toFixed(1)} ms`,
      'step meanwhile': `${stepTogether.toFixed(1)} ms`,
      'answer alone': `${median(answersAlone).toFixed(0)} ms`,
      'answer meanwhile': `${median(answers).toFixed(0)} ms`,
      answers: `${answers.length}`,
      ...(limits.trainer !== undefined &&
        limits.generator !== undefined && {
          limits: `trainer ${gibibytes(limits.trainer)}, generator ${gibibytes(limits.generator)}`,
        }),
    };
  } finally {
    await Promise.all([trainer.close(), generator.close()]);
  }
}

const gibibytes = (bytes: number): string => `${(bytes / 2 ** 30).toFixed(1)} GiB`;

function noteStep(times: number[], { type }: TrainerRecord): void {
  if (type === 'step') times.push(performance.now());
}
