import { useEffect, useRef, useState } from 'preact/hooks';
import { graft } from '../../data/graft.ts';
import {
  type Answer,
  type AnswerRequest,
  addPiece,
  answerText,
  isOpen,
  newAnswer,
  type Piece,
  type ToolCall,
  type Turn,
} from './chat.ts';
import { chatBody, textBody } from './requests.ts';

/** The turns of a chat and actions on them. `onChange` is called after each new prompt and each complete answer. */
export function useChat(onChange: (turns: readonly Turn[]) => void) {
  const [turns, setTurns] = useState<readonly Turn[]>([]);
  const latest = useRef(turns);
  const latestOnChange = useRef(onChange);
  latestOnChange.current = onChange;
  const running = useRef(new Set<AbortController>());
  /** Incremented for each opened chat, to ignore late answers to the previous one. */
  const chatCount = useRef(0);

  const set = (after: readonly Turn[]) => {
    latest.current = after;
    setTurns(after);
  };
  const stop = () => {
    for (const controller of running.current) controller.abort();
  };
  // Stop when the page is closed.
  useEffect(() => stop, []);

  /** Requests one side's answer to a turn and replaces the existing one. */
  const fetchAnswer = async (turn: number, side: number, request: AnswerRequest) => {
    const controller = new AbortController();
    running.current.add(controller);
    const startedIn = chatCount.current;
    const change = (changes: Partial<Answer>) => {
      if (startedIn === chatCount.current) set(withAnswer(latest.current, turn, side, changes));
    };
    const pieces: Piece[] = [];
    const calls: ToolCall[] = [];
    let reasoning = '';
    const start = performance.now();
    let frame = 0;
    change(newAnswer(request));
    try {
      for await (const { piece, finish, count, ...others } of readAnswer(request, controller.signal)) {
        addPiece(pieces, piece);
        reasoning += others.reasoning;
        for (const { index, id, name, arguments: text = '' } of others.calls) {
          const known = calls[index] ?? { id: id ?? '', name: name ?? '', arguments: '' };
          calls[index] = { ...known, arguments: known.arguments + text };
        }
        if (finish) change({ finish });
        if (count !== null) change({ tokens: count });
        const isAny = piece.text !== '' || others.reasoning !== '' || others.calls.length > 0;
        if (isAny && latest.current[turn]?.answers[side]?.firstMs === null)
          change({ state: 'generating', firstMs: performance.now() - start });
        // At most one update per frame.
        frame ||= requestAnimationFrame(() => {
          frame = 0;
          change({ pieces: [...pieces], calls: [...calls], reasoning });
        });
      }
      change({ state: 'done' });
    } catch (error) {
      change(controller.signal.aborted ? { state: 'stopped' } : { state: 'failed', error });
    } finally {
      cancelAnimationFrame(frame);
      running.current.delete(controller);
      change({ pieces, calls, reasoning, totalMs: performance.now() - start });
      if (startedIn === chatCount.current) latestOnChange.current(latest.current);
    }
  };

  return {
    turns,
    isGenerating: turns.some(({ answers }) => answers.some(isOpen)),
    stop,
    send: (prompt: string, requests: readonly AnswerRequest[]) => {
      const at = latest.current.length;
      set([...latest.current, { prompt, answers: requests.map(newAnswer) }]);
      for (const [side, request] of requests.entries()) void fetchAnswer(at, side, request);
      latestOnChange.current(latest.current);
    },
    regenerate: (turn: number, side: number) =>
      void fetchAnswer(turn, side, latest.current[turn]!.answers[side]!.request),
    /** Sends the results of an answer's tool calls, and replaces the answer by the next one. */
    sendResults: (turn: number, side: number, results: readonly string[]) => {
      const { request, reasoning, calls, ...answer } = latest.current[turn]!.answers[side]!;
      const step = { text: answerText(answer), reasoning, calls, results };
      void fetchAnswer(turn, side, { ...request, steps: [...request.steps, step] });
    },
    /** Opens another chat and stops unfinished answers of this one. */
    open: (turns: readonly Turn[]) => {
      stop();
      chatCount.current++;
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

/** A chunk of a streamed answer; the last one has the token count. */
interface AnswerChunk {
  piece: Piece;
  reasoning: string;
  /** Parts of calls; only the first part of a call has an id and a name. */
  calls: (Partial<ToolCall> & { index: number })[];
  finish: Answer['finish'];
  count: number | null;
}

const streamed = { stream: true as const, stream_options: { include_usage: true } };

/** Streams an answer. Throws the client's errors, also mid-stream. */
async function* readAnswer(
  request: AnswerRequest,
  signal: AbortSignal,
): AsyncGenerator<AnswerChunk, void, void> {
  if (request.kind === 'chat') {
    const chunks = await graft.chat.completions.create({ ...chatBody(request), ...streamed }, { signal });
    for await (const { choices, usage } of chunks) {
      const [choice] = choices;
      const tokens = (choice?.logprobs?.content ?? []).map(({ token, logprob, top_logprobs: top }) => ({
        token,
        logprob,
        top,
      }));
      const { content, reasoning_content: reasoning = '', tool_calls = [] } = choice?.delta ?? {};
      const calls = tool_calls.map(({ index, id, function: part }) => ({
        index,
        ...(id && { id }),
        ...part,
      }));
      yield { ...chunkOf(content, tokens, choice, usage), reasoning, calls };
    }
  } else {
    const chunks = await graft.completions.create({ ...textBody(request), ...streamed }, { signal });
    for await (const { choices, usage } of chunks) {
      const [choice] = choices;
      const logprobs = choice?.logprobs;
      const tokens = (logprobs?.tokens ?? []).map((token, i) => ({
        token,
        logprob: logprobs!.token_logprobs[i]!,
        top: Object.entries(logprobs!.top_logprobs[i] ?? {}).map(([token, logprob]) => ({ token, logprob })),
      }));
      yield chunkOf(choice?.text, tokens, choice, usage);
    }
  }
}

const chunkOf = (
  text: string | null | undefined,
  tokens: Piece['tokens'],
  choice: { finish_reason: Answer['finish'] } | undefined,
  usage: { completion_tokens: number } | null | undefined,
): AnswerChunk => ({
  piece: { text: text ?? '', tokens },
  reasoning: '',
  calls: [],
  finish: choice?.finish_reason ?? null,
  count: usage?.completion_tokens ?? null,
});
