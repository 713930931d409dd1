import { join } from 'node:path';
import { runForResult, typeScript } from '../../scripts/measuring/processes.ts';
import type { Chat } from './chats.ts';

/** What was answered in a time: token ids by the number of the chat. */
export interface Answered {
  ids: Map<number, number[]>;
  tokens: number;
  seconds: number;
  /** Milliseconds until each answer's first token. */
  first: number[];
}

/** What a generator did, and the most bytes of main memory that its process had. */
export interface Served extends Answered {
  peakBytes: number;
}

export const servedDtypes = ['fp32', 'bf16', 'int8', 'nf4'] as const;
type ServedDtype = (typeof servedDtypes)[number];
export const isServedDtype = (name: string): name is ServedDtype =>
  (servedDtypes as readonly string[]).includes(name);

/** What a process of graft-process.ts is to do. */
export interface ServingPlan {
  /** Of the base model. */
  model: string;
  baseDtype: ServedDtype;
  activationDtype: 'fp32' | 'int8';
  chats: readonly Chat[];
  /** Concurrent chats. */
  lanes: number;
  /** Sequences of a step. */
  rows: number;
  /** No other question is asked after this time. */
  seconds: number;
  /** Begins each line of the report. */
  title: string;
}

export interface GraftOptions
  extends Pick<ServingPlan, 'model' | 'baseDtype' | 'activationDtype' | 'chats' | 'seconds'> {
  /** Concurrent chats. */
  atOnce: number;
  /** Number of questions that are asked one by one. */
  alone: number;
}

/** The questions one by one, and in a generator that knows none of them, many at once; each generator in a separate process. */
export async function graftSide({
  atOnce,
  alone,
  ...plan
}: GraftOptions): Promise<{ oneByOne: Served; together: Served; same: boolean }> {
  const ask = async (way: string, chats: readonly Chat[], lanes: number): Promise<Served> => {
    const title = `Graft, ${plan.baseDtype}, ${way}`;
    const whole: ServingPlan = { ...plan, chats, lanes, rows: lanes, title };
    const { ids, ...served } = await runForResult<Omit<Served, 'ids'> & { ids: [number, number[]][] }>(
      typeScript(join(import.meta.dirname, 'graft-process.ts')),
      whole,
    );
    return { ...served, ids: new Map(ids) };
  };
  const oneByOne = await ask('one by one', plan.chats.slice(0, alone), 1);
  const together = await ask(`${atOnce} at once`, plan.chats, atOnce);
  const same = [...oneByOne.ids].every(([i, ids]) => ids.join() === (together.ids.get(i) ?? ids).join());
  return { oneByOne, together, same };
}
