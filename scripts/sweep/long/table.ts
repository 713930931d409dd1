import { plainTable } from '../../methods/markdown-table.ts';
import { isTooFar, type LongVerdict, type Measured, verdictText } from './check.ts';
import { isSameSetting } from './results.ts';
import { QUESTIONS } from './tasks.ts';

/** A line a model and task: the automatic setting beside the best. */
export function verdictTable(verdicts: readonly LongVerdict[]): string {
  const head = ['model', 'task', 'steps', 'automatic', 'its result', 'best', 'its result', 'verdict'];
  return plainTable(
    head,
    verdicts.map((verdict) => {
      const { model, task, steps, automatic, best } = verdict;
      const cells = [automatic, best].flatMap((each) => [settingOf(each), resultOf(each)]);
      return [model, task, steps, ...cells, `${verdictText(verdict)}${isTooFar(verdict) ? ' ✗' : ''}`];
    }),
  );
}

/** A line a setting, with means over seeds and, in brackets, the largest less the smallest. */
export function settingsTable(verdicts: readonly LongVerdict[]): string {
  const head = [
    'model',
    'task',
    'alpha',
    'rate',
    'alpha · rate',
    'batch',
    'seeds',
    'loss',
    `right of ${QUESTIONS}`,
  ];
  return plainTable(
    head,
    verdicts.flatMap(({ model, task, settings, automatic }) =>
      settings.map((each) => {
        const mark = automatic !== null && isSameSetting(each, automatic) ? ' (automatic)' : '';
        return [
          model,
          task,
          each.lora_alpha,
          `${each.learning_rate.toExponential()}${mark}`,
          (each.lora_alpha * each.learning_rate).toPrecision(2),
          each.batch_size,
          each.seeds,
          lossOf(each),
          rightOf(each),
        ];
      }),
    ),
  );
}

function settingOf(setting: Measured | null): string {
  if (setting === null) return '';
  const { lora_alpha, learning_rate, batch_size } = setting;
  return `alpha ${lora_alpha}, ${learning_rate.toExponential()}, batch ${batch_size}`;
}

function resultOf(setting: Measured | null): string {
  if (setting === null) return '';
  return setting.right === null ? lossOf(setting) : `${rightOf(setting)} right, loss ${lossOf(setting)}`;
}

function lossOf({ loss, lossSpread }: Measured): string {
  return Number.isFinite(loss) ? `${loss.toPrecision(4)} (${lossSpread.toPrecision(2)})` : 'diverged';
}

const rightOf = ({ right, rightSpread }: Measured) =>
  right === null ? '' : `${right.toFixed(1)} (${rightSpread})`;
