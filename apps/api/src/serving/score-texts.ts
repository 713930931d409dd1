import type { ScoringEvent, ScoringRequest } from '@graft/service/channel';
import { GenerationError, scoreOnWorker } from '@graft/service/generation';
import { recordCompletion } from '@graft/service/usage';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { ApiSettings } from '../settings.ts';
import { hangUp } from './answer.ts';
import type { FoundModel } from './find-model.ts';

export type ScoresStart = Extract<ScoringEvent, { type: 'start' }>;

export interface TextScores {
  start: ScoresStart;
  /** One text per input: float32, little-endian, in base64. */
  values: string[];
}

/**
 * Lets a worker compute vectors or classes of `inputs`, metered: all tokens that it read, even if it refuses the inputs or the client
 * disconnects. `check` may refuse what the results would be, before they are computed. Throws GenerationError.
 */
export async function scoreTexts(
  app: FastifyInstance,
  request: FastifyRequest,
  reply: FastifyReply,
  { workerWaitMs: waitMs }: Pick<ApiSettings, 'workerWaitMs'>,
  {
    id,
    model: { name, ...weights },
    task,
    inputs,
    promptName = null,
    check = () => {},
  }: {
    id: string;
    model: FoundModel;
    task: ScoringRequest['task'];
    inputs: ScoringRequest['inputs'];
    /** See `prompt_name` of `ScoringRequest`. */
    promptName?: string | null;
    check?: (start: ScoresStart) => void;
  },
): Promise<TextScores> {
  const { services } = app;
  const { teamId, keyId } = request.caller;
  reply.hold('completions');
  reply.endTurn();
  const signal = hangUp(reply);
  const characters = inputs.reduce((sum, input) => sum + charactersOf(input), 0);
  let start: ScoresStart | null = null;
  const values: string[] = [];
  let inputTokens = 0;
  try {
    const events = await app.askWorkers({ teamId, characters, signal }, () =>
      scoreOnWorker(
        services,
        { ...weights, task, inputs, ...(promptName !== null && { prompt_name: promptName }) },
        { waitMs, signal },
      ),
    );
    for await (const event of events) {
      if (event.type === 'start') {
        start = event;
        inputTokens = event.prompt_tokens;
        check(event);
        reply.holdBytes(bytesOf(event, inputs.length));
      } else if (event.type === 'scores')
        for (const { index, values: own } of event.scores) values[index] = own;
    }
  } catch (error) {
    if (error instanceof GenerationError) inputTokens = Math.max(inputTokens, error.used.promptTokens);
    throw error;
  } finally {
    const use = { id, keyId, model: name, baseModel: weights.base_model, inputTokens, outputTokens: 0 };
    if (inputTokens > 0) await recordCompletion(services, teamId, use);
  }
  if (!start || inputs.some((_, i) => values[i] === undefined))
    throw new GenerationError('worker_failed', 502, 'The worker that answered left out results.');
  return { start, values };
}

/** Bytes of all results in base64, at most: a vector, the probabilities of a text, or two numbers for each word. */
function bytesOf({ kind, width, prompt_tokens: tokens }: ScoresStart, inputs: number): number {
  return Math.ceil((4 * 4 * width * (kind === 'words' ? tokens : inputs)) / 3);
}

/** About a token id's digits and comma. */
const charactersOfId = 6;

function charactersOf(input: ScoringRequest['inputs'][number]): number {
  if (typeof input === 'string') return input.length;
  let sum = 0;
  for (const each of input) sum += typeof each === 'string' ? each.length + 1 : charactersOfId;
  return sum;
}

/** The numbers of a result. */
export function numbersOf(values: string): Float32Array {
  const bytes = Buffer.from(values, 'base64');
  // A copy, since the bytes may start anywhere in a larger buffer.
  return new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength));
}
