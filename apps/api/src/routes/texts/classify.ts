import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { GenerationError } from '@graft/service/generation';
import { randomText } from '@graft/service/ids';
import { ref } from '@graft/wire/schema';
import { ClassificationListSchema, CreateClassificationSchema } from '@graft/wire/texts/classification';
import { unixSeconds } from '../../answers/list.ts';
import { findModel } from '../../serving/find-model.ts';
import { numbersOf, type ScoresStart, scoreTexts } from '../../serving/score-texts.ts';
import { sendList } from '../../serving/send-list.ts';
import { entitiesOf, wordClasses } from '../../serving/word-classes.ts';
import type { ApiSettings } from '../../settings.ts';
import { operations } from '../operation.ts';

const operation = operations('Texts');

/** /classify: classes of texts or of their words, computed by an adapter or a classifier on a worker. The shape is vLLM's. */
export const classifyRoutes: FastifyPluginAsyncTypebox<{ settings: ApiSettings }> = async (
  app,
  { settings },
) => {
  const { services } = app;

  app.post(
    '/classify',
    operation(
      { access: { scope: 'completions:write', models: 'model', answer: 'own' } },
      'Classify texts',
      ref(ClassificationListSchema),
      {
        errors: [404, 502],
        description:
          'Returns the probability of each class for every text; for a classifier of words, the class of each word, and successive words of a class as entities.',
        body: ref(CreateClassificationSchema),
      },
    ),
    async (request, reply) => {
      const { body } = request;
      const inputs = typeof body.input === 'string' ? [body.input] : body.input;
      await app.checkBudget(request.caller.teamId);
      const model = await findModel(services, request, body.model, 'classify');
      const id = `classify-${randomText(24)}`;
      const scores = { id, model, task: 'classify' as const, inputs };
      const { start, values } = await scoreTexts(app, request, reply, settings, scores);
      const classes = start.labels ?? [];
      const { prompt_tokens } = start;
      const itemOf = start.kind === 'words' ? wordsItem : textItem;
      return sendList(reply, {
        head: { id, object: 'list' as const, created: unixSeconds(new Date()), model: body.model, classes },
        end: { usage: { prompt_tokens, total_tokens: prompt_tokens } },
        count: values.length,
        values: start.kind === 'words' ? 8 * prompt_tokens : values.length * classes.length,
        item: (index) => ({
          index,
          num_classes: classes.length,
          ...itemOf(numbersOf(values[index]!), classes, start, inputs[index]!),
        }),
      });
    },
  );
};

function textItem(logits: Float32Array, classes: readonly string[], { several_labels }: ScoresStart) {
  const probs = several_labels || classes.length === 1 ? sigmoids(logits) : softmax(logits);
  const best = probs.reduce((best, p, i) => (p > probs[best]! ? i : best), 0);
  const labels = several_labels ? { labels: classes.filter((_, i) => probs[i]! >= 0.5) } : {};
  return { label: classes[best]!, probs, ...labels };
}

function wordsItem(
  values: Float32Array,
  classes: readonly string[],
  _start: ScoresStart,
  input: string | readonly string[],
) {
  const words = wordClasses(input, values, classes);
  if (!words)
    throw new GenerationError(
      'worker_failed',
      502,
      'The worker that answered divided the text into other words.',
    );
  return { words, entities: entitiesOf(words, input) };
}

/** In double precision, as are the sigmoids. */
function softmax(logits: Float32Array): number[] {
  const most = logits.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
  const powers = Array.from(logits, (x) => Math.exp(x - most));
  const sum = powers.reduce((a, b) => a + b, 0);
  return powers.map((power) => power / sum);
}

const sigmoids = (logits: Float32Array): number[] => Array.from(logits, (x) => 1 / (1 + Math.exp(-x)));
