/** Messages to a thread with grammars. */
import type { ConstraintFormat } from '../../chat/tool-styles/tool-style.ts';
import type { Owned } from '../turns/fair-rows.ts';

export type GrammarCall =
  /** First for a new thread. `json`: a packed tokenizer. `work` is shared memory. */
  | { type: 'load'; json: Uint8Array; size: number; marks: readonly string[]; work: Float64Array }
  /** Checks whether a grammar can be compiled. */
  | { type: 'compile'; format: ConstraintFormat }
  /** Starts an answer, of which `tokens` are known. `mask` `(⌈V / 32⌉)` and `version` `(1)` are shared memory. */
  | {
      type: 'open';
      answer: number;
      owner: Owned;
      format: ConstraintFormat;
      ends: readonly number[];
      tokens: readonly number[];
      mask: Int32Array;
      version: Int32Array;
    }
  | { type: 'accept'; answer: number; owner: Owned; token: number }
  | { type: 'close'; answer: number };

/**
 * The work of a thread in shared memory: the answer of the call in progress, or `IDLE`; the thread's processor time at its start; whether
 * the call opens the answer (1).
 */
export const WORK = { answer: 0, start: 1, opens: 2, length: 3 };
export const IDLE = -1;

export interface GrammarAnswer {
  /** Processor time. */
  milliseconds: number;
  /** Why answers cannot follow the grammar's schemas, as "must …"; null if they can. */
  fault: string | null;
}
