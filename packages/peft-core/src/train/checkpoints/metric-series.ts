import type { SafetensorsFile, TensorToWrite } from '../../files.ts';
import { everyColumn, isSetMetric, namesOfColumns } from '../../objectives/metrics.ts';

/** Names of the columns of training steps, in float64; NaN where there is no value. */
const TRAIN = [
  'epoch',
  'loss',
  'tokenAccuracy',
  'learningRate',
  'gradNorm',
  'tokens',
  'tokensPerSecond',
  'memoryBytes',
] as const;
/** Names of the columns of evaluations; the columns of metrics follow, by `Metric.column`, and those of validation sets by name. */
const EVALUATION = ['step', 'loss', 'tokenAccuracy'] as const;
/** Columns that checkpoints of earlier versions lack. */
const LATER: readonly string[] = ['memoryBytes', ...namesOfColumns.keys()];

type Columns<Name extends string> = Record<Name, Float64Array>;
type Row = Record<Exclude<(typeof TRAIN)[number], 'tokenAccuracy'>, number> & {
  tokenAccuracy: number | null;
};

export interface EvaluationRow {
  step: number;
  loss: number;
  tokenAccuracy: number | null;
  metrics?: Readonly<Record<string, number>>;
}

/**
 * All measurements of a run up to a step, in columns: 64 bytes per step. Row i of `train` is step i + 1. NaN stands for a null token
 * accuracy, and for values that an earlier version did not measure. `tokens` is the number of tokens trained so far.
 */
export interface MetricSeries {
  train: Columns<(typeof TRAIN)[number]>;
  evaluation: Columns<(typeof EVALUATION)[number]> & Readonly<Record<string, Float64Array>>;
}

/** Row i of the evaluations; `metrics`: those that have a column, NaN where they were not measured. */
export function evaluationAt({ evaluation }: MetricSeries, i: number): Required<EvaluationRow> {
  const { step, loss, tokenAccuracy, ...others } = evaluation;
  const metrics = Object.entries(others).map(([column, values]) => [
    namesOfColumns.get(column) ?? column,
    values[i]!,
  ]);
  return {
    step: step[i]!,
    loss: loss[i]!,
    tokenAccuracy: tokenAccuracy[i]!,
    metrics: Object.fromEntries(metrics) as Record<string, number>,
  };
}

export class MetricLog {
  readonly #train: Growing<(typeof TRAIN)[number]>;
  readonly #evaluation: Growing<string>;
  /** Columns of validation sets. */
  readonly #sets: readonly string[];

  /** `columns`: columns of metrics that evaluations store, in addition to those of `earlier`. */
  constructor(earlier: MetricSeries | null, columns: readonly string[] = everyColumn) {
    this.#train = new Growing(TRAIN, earlier?.train);
    this.#evaluation = new Growing([...EVALUATION, ...columns], earlier?.evaluation);
    this.#sets = [...new Set([...columns, ...Object.keys(earlier?.evaluation ?? {})])].filter(isSetMetric);
  }

  /** Adds the next step; the first one follows the last step of `earlier`. */
  addStep(row: Row): void {
    this.#train.add({ ...row, tokenAccuracy: row.tokenAccuracy ?? Number.NaN });
  }

  addEvaluation({ step, loss, tokenAccuracy, metrics = {} }: EvaluationRow): void {
    const metricValues = [...namesOfColumns].map(([column, name]) => [column, metrics[name] ?? Number.NaN]);
    this.#evaluation.add({
      step,
      loss,
      tokenAccuracy: tokenAccuracy ?? Number.NaN,
      ...(Object.fromEntries(metricValues) as Record<string, number>),
      ...Object.fromEntries(this.#sets.map((name) => [name, metrics[name] ?? Number.NaN])),
    });
  }

  /** The steps in order, each with the evaluation after it. */
  *measurements(): Generator<{ step: Row; evaluation: Required<EvaluationRow> | null }> {
    const { series } = this;
    const { train, evaluation } = series;
    let next = 0;
    for (const i of train.loss.keys()) {
      const step = Object.fromEntries(TRAIN.map((name) => [name, train[name][i]!])) as Row;
      const isEvaluated = evaluation.step[next] === i + 1;
      yield { step, evaluation: isEvaluated ? evaluationAt(series, next++) : null };
    }
  }

  /** Views of the current columns. */
  get series(): MetricSeries {
    return { train: this.#train.columns, evaluation: this.#evaluation.columns as MetricSeries['evaluation'] };
  }
}

class Growing<Name extends string> {
  readonly #names: readonly Name[];
  #length: number;
  #columns: Columns<Name>;

  constructor(names: readonly Name[], earlier?: Columns<Name>) {
    this.#names = earlier ? [...new Set([...(Object.keys(earlier) as Name[]), ...names])] : names;
    this.#length = earlier ? earlier[names[0]!].length : 0;
    const none = () => new Float64Array(this.#length).fill(Number.NaN);
    this.#columns = columnsOf(this.#names, (name) => earlier?.[name] ?? none());
  }

  add(row: Record<Name, number>): void {
    if (this.#length === this.#columns[this.#names[0]!].length) {
      const capacity = Math.max(1024, 2 * this.#length);
      this.#columns = columnsOf(this.#names, (name) => {
        const grown = new Float64Array(capacity);
        grown.set(this.#columns[name]);
        return grown;
      });
    }
    for (const name of this.#names) this.#columns[name][this.#length] = row[name];
    this.#length++;
  }

  get columns(): Columns<Name> {
    return columnsOf(this.#names, (name) => this.#columns[name].subarray(0, this.#length));
  }
}

/** The tensors of a safetensors file: `train.loss`, `evaluation.step`, …, with `prefix` where a file holds several series. */
export function tensorsOf(series: MetricSeries, prefix = ''): TensorToWrite[] {
  const tensors = (kind: string, columns: Record<string, Float64Array>) =>
    Object.entries(columns).map(([name, data]) => ({
      name: `${prefix}${kind}.${name}`,
      shape: [data.length],
      dtype: 'F64' as const,
      data,
    }));
  return [...tensors('train', series.train), ...tensors('evaluation', series.evaluation)];
}

/** Reads a series that was written with `tensorsOf`. */
export async function readSeries(file: SafetensorsFile, prefix = ''): Promise<MetricSeries> {
  const read = async <Name extends string>(kind: string, names: readonly Name[]) => {
    const values = new Map<Name, Float64Array>();
    for (const name of names) {
      const tensor = `${prefix}${kind}.${name}`;
      // A checkpoint of an earlier version lacks this column.
      const isLacking = LATER.includes(name) && !file.has(tensor);
      values.set(
        name,
        isLacking
          ? new Float64Array(values.get('loss' as Name)!.length).fill(Number.NaN)
          : ((await file.read(tensor)) as Float64Array),
      );
    }
    return columnsOf(names, (name) => values.get(name)!);
  };
  const known = [...namesOfColumns.keys()].filter(
    (column) => everyColumn.includes(column) || file.has(`${prefix}evaluation.${column}`),
  );
  const own = `${prefix}evaluation.`;
  const sets = file
    .names()
    .flatMap((name) =>
      name.startsWith(own) && isSetMetric(name.slice(own.length)) ? [name.slice(own.length)] : [],
    );
  const kept = [...known, ...sets];
  return {
    train: await read('train', TRAIN),
    evaluation: (await read('evaluation', [...EVALUATION, ...kept])) as MetricSeries['evaluation'],
  };
}

function columnsOf<Name extends string>(
  names: readonly Name[],
  column: (name: Name) => Float64Array,
): Columns<Name> {
  return Object.fromEntries(names.map((name) => [name, column(name)])) as Columns<Name>;
}
