import { instruments } from '@graft/service/observe';
import { type Repeating, repeat } from '@graft/service/repeat';
import type { Services } from '@graft/service/services';
import type { Device } from '../devices.ts';
import type { CardWatch } from './card-watch.ts';
import { askSmi } from './nvidia-smi.ts';
import { type Card, numberIn, parseMigMemory } from './parse-cards.ts';

/** Values that nvidia-smi reports of a card at one time. Null: nvidia-smi does not report the value. */
export interface CardReading {
  /** Memory of all processes on the card. */
  usedBytes: number | null;
  totalBytes: number | null;
  /** Fraction (0 to 1) of about the last second in which a kernel was running on the card. Unknown for a MIG device. */
  utilization: number | null;
  /** Degrees Celsius. */
  temperature: number | null;
}

const MiB = 2 ** 20;
const everyMilliseconds = 15_000;
const query = ['uuid', 'memory.used', 'memory.total', 'utilization.gpu', 'temperature.gpu'];

const bytesOf = (mib: number | null): number | null => (mib === null ? null : mib * MiB);

/** The readings of those of `cards` that nvidia-smi lists, by UUID. Throws `CardFault` where nvidia-smi fails. */
export async function readCards(cards: readonly Card[]): Promise<Map<string, CardReading>> {
  const output = await askSmi([`--query-gpu=${query.join(',')}`, '--format=csv,noheader,nounits']);
  const lines = output.split(/\r?\n/).map((line) => line.split(',').map((field) => field.trim()));
  const whole = new Map(lines.map(([uuid = '', ...fields]) => [uuid, fields.map(numberIn)]));
  const migs = cards.some(({ parent }) => parent !== undefined)
    ? parseMigMemory(await askSmi(['-q', '-x']))
    : [];
  const readings = new Map<string, CardReading>();
  for (const card of cards) {
    const fields = whole.get(card.parent ?? card.uuid);
    if (!fields) continue;
    const [used = null, total = null, utilization = null, temperature = null] = fields;
    const mig = migs.find(({ parent, index }) => parent === card.parent && index === card.migIndex);
    readings.set(card.uuid, {
      usedBytes: bytesOf(card.parent ? (mig?.usedMib ?? null) : used),
      totalBytes: bytesOf(card.parent ? card.memoryMib : total),
      utilization: card.parent || utilization === null ? null : utilization / 100,
      temperature,
    });
  }
  return readings;
}

/** Reads a worker's cards periodically, for its metrics and for the jobs that run on them. */
export class CardReadings {
  readonly #cards: CardWatch;
  readonly #loop: Repeating | null;
  #last = new Map<string, CardReading>();

  constructor(cards: CardWatch, log: Services['log'], milliseconds = everyMilliseconds) {
    this.#cards = cards;
    this.#loop =
      cards.planned.length > 0 ? repeat('readings of GPUs', milliseconds, () => this.#read(), log) : null;
  }

  of(device: Device): CardReading | null {
    return device.kind === 'gpu' ? (this.#last.get(device.uuid) ?? null) : null;
  }

  async stop(): Promise<void> {
    await this.#loop?.stop();
  }

  async #read(): Promise<void> {
    const { planned } = this.#cards;
    // The health checks report what is wrong with nvidia-smi.
    this.#last = await readCards(planned).catch(() => new Map<string, CardReading>());
    for (const [i, card] of planned.entries()) {
      const reading = this.#last.get(card.uuid);
      const of = { gpu: String(i) };
      instruments.gpuUsable.set(of, this.#cards.faultOf(card) ? 0 : 1);
      const values = [
        [instruments.gpuMemoryUsed, reading?.usedBytes],
        [instruments.gpuMemoryTotal, reading?.totalBytes],
        [instruments.gpuUtilization, reading?.utilization],
        [instruments.gpuTemperature, reading?.temperature],
      ] as const;
      // A gauge without a known value is removed, so that it does not keep the last one.
      for (const [gauge, value] of values) {
        if (value === null || value === undefined) gauge.remove(of);
        else gauge.set(of, value);
      }
    }
  }
}
