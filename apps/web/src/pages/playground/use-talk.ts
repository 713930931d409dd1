import { useEffect, useRef, useState } from 'preact/hooks';
import { readAnswer } from './read-answer.ts';
import { type Answer, type Asked, addPiece, isOpen, newAnswer, type Piece, type Turn } from './talk.ts';

/** The turns of a talk, and what is done with them. `onKeep` is told them when there is a prompt or a whole answer more. */
export function useTalk(onKeep: (turns: readonly Turn[]) => void) {
  const [turns, setTurns] = useState<readonly Turn[]>([]);
  const latest = useRef(turns);
  const keep = useRef(onKeep);
  keep.current = onKeep;
  const running = useRef(new Set<AbortController>());
  /** Grows with every talk that is opened: what still comes for the one before is of no place in it. */
  const talk = useRef(0);

  const set = (after: readonly Turn[]) => {
    latest.current = after;
    setTurns(after);
  };
  const stop = () => {
    for (const controller of running.current) controller.abort();
  };
  // Nobody reads on when the page is left.
  useEffect(() => stop, []);

  /** Asks one side for its answer to a turn, in the place of what it has there. */
  const ask = async (turn: number, side: number, asked: Asked) => {
    const controller = new AbortController();
    running.current.add(controller);
    const its = talk.current;
    const change = (changes: Partial<Answer>) => {
      if (its === talk.current) set(withAnswer(latest.current, turn, side, changes));
    };
    const pieces: Piece[] = [];
    const began = performance.now();
    let frame = 0;
    change(newAnswer(asked));
    try {
      for await (const { piece, finish, count } of readAnswer(asked, controller.signal)) {
        addPiece(pieces, piece);
        if (finish) change({ finish });
        if (count !== null) change({ tokens: count });
        if (piece.text && latest.current[turn]?.answers[side]?.firstMs === null)
          change({ state: 'writing', firstMs: performance.now() - began });
        // Drawn as often as the screen is, however fast the tokens come.
        frame ||= requestAnimationFrame(() => {
          frame = 0;
          change({ pieces: [...pieces] });
        });
      }
      change({ state: 'done' });
    } catch (error) {
      change(controller.signal.aborted ? { state: 'stopped' } : { state: 'failed', error });
    } finally {
      cancelAnimationFrame(frame);
      running.current.delete(controller);
      change({ pieces, totalMs: performance.now() - began });
      if (its === talk.current) keep.current(latest.current);
    }
  };

  return {
    turns,
    isWriting: turns.some(({ answers }) => answers.some(isOpen)),
    stop,
    /** Puts a prompt to every side at once. */
    send: (prompt: string, asked: readonly Asked[]) => {
      const at = latest.current.length;
      set([...latest.current, { prompt, answers: asked.map(newAnswer) }]);
      for (const [side, each] of asked.entries()) void ask(at, side, each);
      keep.current(latest.current);
    },
    again: (turn: number, side: number) => void ask(turn, side, latest.current[turn]!.answers[side]!.asked),
    /** Shows another talk; what is being written of this one is stopped. */
    open: (turns: readonly Turn[]) => {
      stop();
      talk.current++;
      set(turns);
    },
  };
}

function withAnswer(
  turns: readonly Turn[],
  at: number,
  side: number,
  changes: Partial<Answer>,
): readonly Turn[] {
  return turns.map((turn, i) =>
    i === at
      ? {
          ...turn,
          answers: turn.answers.map((answer, j) => (j === side ? { ...answer, ...changes } : answer)),
        }
      : turn,
  );
}
