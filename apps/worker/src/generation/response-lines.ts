import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { GraftError } from '@graft/peft-core/config';
import { checkScoreTask, checkWritingTask } from '@graft/peft-core/files';
import { defaultTask, TASK_TYPES, type TaskType } from '@graft/peft-core/outlines';
import { admitBaseModel } from '@graft/service/added-models';
import { isLastingModelFault } from '@graft/service/base-models';
import {
  encodeLine,
  type GenerationLine,
  type GenerationRequest,
  lineCharacters,
  type ScoringRequest,
} from '@graft/service/channel';
import type { Services } from '@graft/service/services';
import { type ChildFault, faultOf, logFault } from '../processes/child-fault.ts';
import type { Share } from './fair-order.ts';
import {
  GeneratorBusy,
  type GeneratorEvent,
  type GeneratorProcess,
  type ScorerEvent,
} from './generator-process.ts';
import type { GeneratorRequest, ModelPlace } from './generator-protocol.ts';

type AnswerServices = Pick<Services, 'baseModels' | 'artifacts' | 'db' | 'log'>;

/** Yields the lines of one answer. Throws `GeneratorBusy`, but only before the first line. */
export async function* generatedLines(
  services: AnswerServices,
  generator: GeneratorProcess,
  body: GenerationRequest,
  signal: AbortSignal,
  share: Share,
): AsyncGenerator<string, void> {
  yield* withErrorLine(services, signal, async function* () {
    const { place, base, adapterTask } = await placeOf(services, body, signal);
    checkWritingTask(base, adapterTask);
    for await (const event of generator.generate({ ...place, options: optionsOf(body) }, signal, share)) {
      if (event.type === 'failed') logFault('generation failed', event.fault, services.log);
      yield encodeLine(lineOf(event));
    }
  });
}

/** Yields the lines of a response with vectors or classes. Throws `GeneratorBusy`, but only before the first line. */
export async function* scoreLines(
  services: AnswerServices,
  generator: GeneratorProcess,
  body: ScoringRequest,
  signal: AbortSignal,
  share: Share,
): AsyncGenerator<string, void> {
  yield* withErrorLine(services, signal, async function* () {
    const { place, base, adapterTask } = await placeOf(services, body, signal);
    const { task, inputs, adapter, prompt_name: promptName } = body;
    await checkScoreTask(base, adapterTask, task);
    const request = {
      ...place,
      task,
      inputs,
      ...(promptName === undefined ? {} : { promptName }),
      ...(adapter ? { adapterName: adapter.version_id } : {}),
    };
    for await (const event of generator.score(request, signal, share)) {
      if (event.type === 'failed') logFault('scoring failed', event.fault, services.log);
      yield* scoringLinesOf(event);
    }
  });
}

/** Yields `lines`; if they throw, yields the error as the last line. */
async function* withErrorLine(
  { log }: Pick<Services, 'log'>,
  signal: AbortSignal,
  lines: () => AsyncGenerator<string, void>,
): AsyncGenerator<string, void> {
  try {
    yield* lines();
  } catch (error) {
    if (error instanceof GeneratorBusy || signal.aborted) throw error;
    const fault = faultOf(error, { code: 'generation_failed', message: 'The worker had an internal error.' });
    logFault('generation failed', fault, log);
    yield encodeLine(lineOf({ type: 'failed', fault, promptTokens: 0, completionTokens: 0 }));
  }
}

/**
 * Resolves the base model and the adapter to paths on this machine, and finds the adapter's task: a request for another task is refused
 * before it is queued, so that it does not unload the model of other requests. Throws GraftError.
 */
async function placeOf(
  services: AnswerServices,
  body: Pick<GenerationRequest, 'base_model' | 'adapter'>,
  signal: AbortSignal,
) {
  const base = await services.baseModels.get(body.base_model, { signal });
  if (!base) {
    throw new GraftError(
      'model_not_found',
      `The base model ${body.base_model} is not available on this worker.`,
      { param: 'model' },
    );
  }
  const digest = await admitBaseModel(services, base);
  if (body.adapter && digest !== body.adapter.base_digest) {
    throw new GraftError(
      'base_model_changed',
      `The weights of ${body.base_model} on this worker are not those that the adapter was trained on.`,
      { param: 'model' },
    );
  }
  const { adapter } = body;
  const adapterDir =
    adapter && (await services.artifacts.localFolder(adapter.artifact, { afresh: adapter.suspect }));
  const { id: baseModel, path: basePath, digestCache } = base;
  const place: ModelPlace = { baseModel, basePath, digestCache, adapterDir };
  return {
    place,
    base,
    adapterTask: adapterDir === null ? null : await taskOf(adapterDir, defaultTask(base.config)),
  };
}

/** The task of a stored adapter; one that names none has that of its base model. */
async function taskOf(adapterDir: string, own: TaskType): Promise<TaskType> {
  const { task_type: task } = JSON.parse(await readFile(join(adapterDir, 'adapter_config.json'), 'utf8'));
  return TASK_TYPES.find((each) => each === task) ?? own;
}

function optionsOf(body: GenerationRequest): GeneratorRequest['options'] {
  const { max_tokens, temperature, top_p, stop, seed, logprobs = null } = body;
  const { top_k = 0, min_p = 0, repetition_penalty = 1, model_defaults = [] } = body;
  const { allow_special_tokens = false, separate_reasoning = false } = body;
  const { logit_bias = {}, frequency_penalty = 0, presence_penalty = 0 } = body;
  const text = 'messages' in body ? conversationOf(body) : { prompt: body.prompt };
  return {
    ...text,
    allow_special_tokens,
    max_tokens,
    temperature,
    top_p,
    stop,
    seed,
    logprobs,
    top_k,
    min_p,
    repetition_penalty,
    model_defaults,
    logit_bias,
    frequency_penalty,
    presence_penalty,
    separate_reasoning,
    ...(body.adapter ? { adapterName: body.adapter.version_id } : {}),
  };
}

function conversationOf({
  messages,
  chat_template_kwargs = {},
  tools = [],
  tool_choice = 'auto',
  parallel_tool_calls = true,
  response_format,
}: Extract<GenerationRequest, { messages: unknown }>) {
  const demands = { tools, tool_choice, parallel_tool_calls };
  return { messages, chat_template_kwargs, ...demands, ...(response_format ? { response_format } : {}) };
}

function lineOf(event: GeneratorEvent): GenerationLine {
  switch (event.type) {
    case 'token': {
      const { text, reasoning, calls, likely } = event;
      const { promptTokens: prompt_tokens, completionTokens: completion_tokens } = event;
      return {
        type: 'token',
        text,
        ...(reasoning ? { reasoning } : {}),
        ...(calls ? { calls } : {}),
        ...(likely ? { likely } : {}),
        prompt_tokens,
        completion_tokens,
      };
    }
    case 'done': {
      const { promptTokens: prompt_tokens, completionTokens: completion_tokens, cachedTokens } = event;
      const total_tokens = prompt_tokens + completion_tokens;
      const prompt_tokens_details = { cached_tokens: cachedTokens };
      const usage = { prompt_tokens, completion_tokens, total_tokens, prompt_tokens_details };
      return { type: 'done', finish_reason: event.finishReason, usage };
    }
    case 'failed': {
      const { code, message, param } = event.fault;
      const { promptTokens: prompt_tokens, completionTokens: completion_tokens } = event;
      const status = statusOf(event.fault);
      return { type: 'error', status, code, message, param, prompt_tokens, completion_tokens };
    }
  }
}

function* scoringLinesOf(event: ScorerEvent): Generator<string> {
  switch (event.type) {
    case 'start': {
      const { kind, labels, severalLabels: several_labels, width, promptTokens: prompt_tokens } = event;
      yield encodeLine({ type: 'start', kind, labels, several_labels, width, prompt_tokens });
      return;
    }
    case 'scores': {
      let from = 0;
      let characters = 0;
      for (const [i, { values }] of event.scores.entries()) {
        characters += values.length;
        if (characters < lineCharacters && i < event.scores.length - 1) continue;
        yield encodeLine({ type: 'scores', scores: event.scores.slice(from, i + 1) });
        [from, characters] = [i + 1, 0];
      }
      return;
    }
    case 'scored':
      yield encodeLine({ type: 'done' });
      return;
    case 'failed':
      yield encodeLine(lineOf(event));
  }
}

function statusOf({ code, fault }: ChildFault): number {
  if (code === 'generator_lost' || code === 'generator_closing') return 503;
  // The adapter's files are lost everywhere: 410 Gone.
  if (code === 'artifact_corrupt') return 410;
  // Not 500: clients would retry, which does not repair a broken file.
  if (isLastingModelFault(code)) return 400;
  // This machine's copy of the model, disk, device or access to the store is at fault. Another worker may succeed.
  if (fault === 'environment') return 503;
  if (fault === 'system') return 500;
  return code === 'model_not_found' ? 404 : 400;
}
