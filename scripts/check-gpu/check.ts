import type { Device, Precision } from '../../apps/worker/src/devices.ts';

/** Input of a check, in a separate process that has the device's environment. */
export interface CheckContext {
  device: Device;
  precision: Precision;
  /** Sizes that a processor computes in seconds. */
  small: boolean;
  /** A separate folder for the check. */
  folder: string;
  /** The folder of all checks of a run: what one has made another need not make again. */
  shared: string;
}

/** Results of a check, by name, each with its unit. */
export type Figures = Record<string, string>;

export interface Check {
  /** Value of --only. */
  name: string;
  /** `auto`: what a job gets on the device that asks for no precision. */
  precision: Precision | 'auto';
  /** Beside the device's. */
  environment?: Record<string, string>;
  /** Text of TensorFlow's log without which the check proved nothing, and what its absence means. */
  mustLog?: { text: string; otherwise: string };
  /** Throws what went wrong, or `NotPossible`. */
  run(context: CheckContext): Promise<Figures>;
}

/** Something that the check needs is not on this machine; the message is the reason. */
export class NotPossible extends Error {}

export type Outcome =
  | { result: 'passed'; figures: Figures }
  /** `output`: the last lines of what its process wrote. */
  | { result: 'failed'; reason: string; output: string[] }
  | { result: 'not possible'; reason: string };

export type Made = {
  name: string;
  seconds: number /** The most that it took of the card's memory. */;
  cardMib: number | null;
} & Outcome;
