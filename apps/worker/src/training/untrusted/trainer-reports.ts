/** Converts the records that training yields to messages of the trainer process to its worker. */
import type { TrainRecord } from '@graft/peft-core';
import type { MetricSeries } from '@graft/peft-core/checkpoints';
import { isSetMetric } from '@graft/peft-core/config';
import { type SeriesPart, seriesRows, type TrainerMessages } from '../trainer-protocol.ts';

export function* messagesOf(record: TrainRecord): Generator<TrainerMessages['event']> {
  switch (record.type) {
    case 'start': {
      const { series, sweep, ...start } = record;
      if (series) yield* partsOf({ trial: null, offset: 0, firstStep: 1, series });
      for (const stretch of sweep?.stretches ?? []) yield* partsOf(stretch);
      yield { type: 'record', record: { ...start, trials: sweep?.trials ?? null } };
      break;
    }
    case 'checkpoint': {
      const { step, seconds } = record;
      yield { type: 'record', record: { type: 'checkpoint', step, seconds } };
      break;
    }
    case 'snapshot': {
      const { dir: _, files: _files, ...snapshot } = record;
      yield { type: 'record', record: snapshot };
      break;
    }
    case 'done': {
      const { adapterDir: _, files: _files, ...done } = record;
      yield { type: 'record', record: done };
      break;
    }
    default:
      yield { type: 'record', record };
  }
}

/** Splits a metric series into parts that fit one message each. */
export function* partsOf({
  trial,
  offset,
  firstStep,
  series: { train, evaluation },
}: Pick<SeriesPart, 'trial' | 'offset' | 'firstStep'> & { series: MetricSeries }): Generator<SeriesPart> {
  for (let from = 0; from < train.loss.length; from += seriesRows) {
    const until = Math.min(from + seriesRows, train.loss.length);
    const isHere = (_: number, row: number) => {
      const at = evaluation.step[row]! - firstStep;
      return at >= from && at < until;
    };
    const { own, sets } = splitColumns(evaluation);
    yield {
      type: 'series',
      trial,
      offset,
      firstStep: firstStep + from,
      train: mapColumns(train, (column) => [...column.subarray(from, until)]),
      evaluation: mapColumns(own, (column) => [...column.filter(isHere)]),
      ...(Object.keys(sets).length > 0 && { sets: mapColumns(sets, (column) => [...column.filter(isHere)]) }),
    };
  }
}

/** Separates the columns of named validation sets (`sets`) from the fixed ones. */
function splitColumns(evaluation: MetricSeries['evaluation']) {
  const sets = Object.entries(evaluation).filter(([name]) => isSetMetric(name));
  const own = Object.fromEntries(Object.entries(evaluation).filter(([name]) => !isSetMetric(name)));
  return { own: own as MetricSeries['evaluation'], sets: Object.fromEntries(sets) };
}

function mapColumns<Columns extends Readonly<Record<string, Float64Array>>>(
  columns: Columns,
  convert: (column: Float64Array) => number[],
): { [Name in keyof Columns]: number[] } {
  const entries = Object.entries(columns).map(([name, column]) => [name, convert(column)]);
  return Object.fromEntries(entries) as { [Name in keyof Columns]: number[] };
}
