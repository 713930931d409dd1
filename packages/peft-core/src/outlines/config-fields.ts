import { GraftError } from '../errors.ts';
import type { TaskType } from './outline.ts';

/** A config.json with the family's defaults. */
export type RawConfig = Record<string, unknown>;

/** Reads fields of a config.json and collects their faults, to report all of them together. */
export class ConfigFields {
  readonly #raw: Record<string, unknown>;
  readonly #faults: string[] = [];

  constructor(raw: Record<string, unknown>) {
    this.#raw = raw;
  }

  /** A positive integer up to `limit`; `fallback` replaces an absent field or null. */
  size(field: string, fallback?: number, limit = 2 ** 31 - 1): number {
    const value = this.#raw[field] ?? fallback;
    if (typeof value === 'number' && Number.isInteger(value) && value > 0 && value <= limit) return value;
    this.fault(`${field} must be a positive integer${limit < 2 ** 31 - 1 ? ` up to ${limit}` : ''}`);
    return 1;
  }

  /** A number of layers. The limit prevents a hostile file from making Graft list a billion layers. */
  layers(field: string, fallback?: number): number {
    return this.size(field, fallback, 1000);
  }

  /** An integer from 0. */
  count(field: string, fallback: number): number {
    const value = this.#raw[field] ?? fallback;
    if (typeof value === 'number' && Number.isInteger(value) && value >= 0 && value < 2 ** 31) return value;
    this.fault(`${field} must be a whole number from 0`);
    return fallback;
  }

  /** The index of one of `rows` rows, counted from the end if negative; null if the field is not a valid index. */
  row(field: string, rows: number, fallback: number | null = null): number | null {
    const value = this.#raw[field] ?? fallback;
    const fits = typeof value === 'number' && Number.isInteger(value) && value >= -rows && value < rows;
    return fits ? (value + rows) % rows : null;
  }

  number(field: string, fallback: number): number {
    const value = this.#raw[field] ?? fallback;
    if (typeof value === 'number' && Number.isFinite(value)) return value;
    this.fault(`${field} must be a number`);
    return fallback;
  }

  positive(field: string, fallback: number): number {
    const value = this.number(field, fallback);
    if (value > 0) return value;
    this.fault(`${field} must be greater than 0`);
    return fallback;
  }

  /** A dropout probability: at least 0, less than 1. */
  probability(field: string, fallback: number): number {
    const value = this.number(field, fallback);
    if (value >= 0 && value < 1) return value;
    this.fault(`${field} must be at least 0 and less than 1`);
    return fallback;
  }

  flag(field: string, fallback = false): boolean {
    const value = this.#raw[field] ?? fallback;
    if (typeof value === 'boolean') return value;
    this.fault(`${field} must be true or false`);
    return fallback;
  }

  choice<T extends string>(field: string, known: readonly T[], fallback: T): T {
    const value = this.#raw[field] ?? fallback;
    const found = known.find((each) => each === value);
    if (found) return found;
    this.fault(`${field} must be ${known.map((k) => `"${k}"`).join(' or ')}, not ${JSON.stringify(value)}`);
    return fallback;
  }

  /**
   * Number of classes of a classifier: `num_labels`, or the number of entries of `id2label`, or transformers' default of two. The limit
   * prevents a hostile file from making Graft name a billion classes.
   */
  labels(): number {
    const named = this.#raw.id2label;
    const counted = typeof named === 'object' && named !== null ? Object.keys(named).length : 2;
    return this.size('num_labels', counted, 100_000);
  }

  /** Records a fault, once. */
  fault(message: string): void {
    if (!this.#faults.includes(message)) this.#faults.push(message);
  }

  /** Throws `invalid_model_config`, which lists all faults so far. */
  check(): void {
    if (this.#faults.length === 0) return;
    throw new GraftError('invalid_model_config', `config.json: ${this.#faults.join('; ')}`, {
      param: 'model',
    });
  }
}

/** Throws `unsupported_task` if an architecture does not support `task`. */
export function requireTask(modelType: string, task: TaskType, supported: readonly TaskType[]): void {
  if (supported.includes(task)) return;
  throw new GraftError(
    'unsupported_task',
    `${modelType} models do ${supported.join(', ')} here, not ${task}`,
    { param: 'peft.task_type' },
  );
}
