import type { SafetensorsFile, TensorToWrite } from '../../files.ts';

/** Names of the columns of training steps, in float64; NaN where a value is none. */
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
/** The last two of pairs: see objectives/retrieval.ts. */
const EVALUATION = ['step', 'loss', 'tokenAccuracy', 'recallAt10', 'mrr'] as const;
/** What checkpoints of versions before lack. */
const LATER: readonly string[] = ['memoryBytes', 'recallAt10', 'mrr'];

type Columns<Names extends readonly string[]> = Record<Names[number], Float64Array>;
type Row<Names extends readonly string[]> = Record<Exclude<Names[number], 'tokenAccuracy'>, number> & {
  tokenAccuracy: number | null;
};

/**
 * All that a run has measured up to a step, in columns: 64 bytes a step. Row i of `train` is step i + 1. NaN stands for a
 * token accuracy that is null, and for what a version did not measure. `tokens` are those trained so far.
 */
export interface MetricSeries {
  train: Columns<typeof TRAIN>;
  evaluation: Columns<typeof EVALUATION>;
}

/** A series that grows. */
export class MetricLog {
  readonly #train: Growing<typeof TRAIN>;
  readonly #evaluation: Growing<typeof EVALUATION>;

  constructor(begun: MetricSeries | null) {
    this.#train = new Growing(TRAIN, begun?.train);
    this.#evaluation = new Growing(EVALUATION, begun?.evaluation);
  }

  /** Steps come one after the other, from the one after those that it began with. */
  addStep(row: Row<typeof TRAIN>): void {
    this.#train.add({ ...row, tokenAccuracy: row.tokenAccuracy ?? Number.NaN });
  }

  addEvaluation(row: {
    step: number;
    loss: number;
    tokenAccuracy: number | null;
    metrics?: Partial<Record<string, number>>;
  }): void {
    const { step, loss, tokenAccuracy, metrics = {} } = row;
    this.#evaluation.add({
      ...{ step, loss, tokenAccuracy: tokenAccuracy ?? Number.NaN },
      recallAt10: metrics.recall_at_10 ?? Number.NaN,
      mrr: metrics.mrr ?? Number.NaN,
    });
  }

  /** Views of what is there now. */
  get series(): MetricSeries {
    return { train: this.#train.columns, evaluation: this.#evaluation.columns };
  }
}

class Growing<Names extends readonly string[]> {
  readonly #names: Names;
  #length: number;
  #columns: Columns<Names>;

  constructor(names: Names, begun?: Columns<Names>) {
    this.#names = names;
    this.#length = begun ? begun[names[0] as Names[number]].length : 0;
    this.#columns = begun ?? columnsOf(names, () => new Float64Array(0));
  }

  add(row: Record<Names[number], number>): void {
    const column = (name: Names[number]) => this.#columns[name];
    if (this.#length === column(this.#names[0] as Names[number]).length) {
      const room = Math.max(1024, 2 * this.#length);
      this.#columns = columnsOf(this.#names, (name) => {
        const grown = new Float64Array(room);
        grown.set(column(name));
        return grown;
      });
    }
    for (const name of this.#names as readonly Names[number][]) column(name)[this.#length] = row[name];
    this.#length++;
  }

  get columns(): Columns<Names> {
    return columnsOf(this.#names, (name) => this.#columns[name].subarray(0, this.#length));
  }
}

/** For a safetensors file: `train.loss`, `evaluation.step`, …, behind `prefix` where several are in one. */
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

/** The series in a file that `tensorsOf` was written to. */
export async function readSeries(file: SafetensorsFile, prefix = ''): Promise<MetricSeries> {
  const read = async <Names extends readonly string[]>(kind: string, names: Names) => {
    const values = new Map<string, Float64Array>();
    for (const name of names) {
      const tensor = `${prefix}${kind}.${name}`;
      // In the checkpoint of a version before it was measured.
      const isLacking = LATER.includes(name) && !file.has(tensor);
      values.set(
        name,
        isLacking
          ? new Float64Array(values.get('loss')!.length).fill(Number.NaN)
          : ((await file.read(tensor)) as Float64Array),
      );
    }
    return columnsOf(names, (name) => values.get(name)!);
  };
  return { train: await read('train', TRAIN), evaluation: await read('evaluation', EVALUATION) };
}

function columnsOf<Names extends readonly string[]>(
  names: Names,
  column: (name: Names[number]) => Float64Array,
): Columns<Names> {
  return Object.fromEntries(names.map((name) => [name, column(name as Names[number])])) as Columns<Names>;
}
