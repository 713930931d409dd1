import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { randomText } from '@graft/service/ids';
import { ref } from '@graft/wire/schema';
import { CreateEmbeddingSchema, EmbeddingListSchema } from '@graft/wire/texts/embedding';
import { ApiError } from '../../api-error.ts';
import { findModel } from '../../serving/find-model.ts';
import { numbersOf, scoreTexts } from '../../serving/score-texts.ts';
import { sendList } from '../../serving/send-list.ts';
import type { ApiSettings } from '../../settings.ts';
import { operations } from '../operation.ts';

const operation = operations('Texts');

/** /embeddings: vectors of texts, computed by a sentence model or an adapter on a worker. */
export const embeddingRoutes: FastifyPluginAsyncTypebox<{ settings: ApiSettings }> = async (
  app,
  { settings },
) => {
  const { services } = app;

  app.post(
    '/embeddings',
    operation(
      { access: { scope: 'completions:write', models: 'model', answer: 'own' } },
      'Create embeddings',
      ref(EmbeddingListSchema),
      {
        errors: [404, 502],
        description:
          "Returns a vector for each text, pooled and normalised as the model's files say. Texts whose vectors are close mean about the same, by the adapter's training.",
        body: ref(CreateEmbeddingSchema),
      },
    ),
    async (request, reply) => {
      const { body } = request;
      const { dimensions } = body;
      await app.checkBudget(request.caller.teamId);
      const model = await findModel(services, request, body.model, 'embed');
      const { start, values } = await scoreTexts(app, request, reply, settings, {
        id: `embd-${randomText(24)}`,
        model,
        task: 'embed',
        inputs: inputsOf(body.input),
        promptName: body.prompt_name ?? null,
        check: ({ width }) => {
          if (dimensions && dimensions > width)
            throw new ApiError(
              'invalid_value',
              `'dimensions' is ${dimensions}, and the vectors of this model have ${width} numbers.`,
              { param: 'dimensions' },
            );
        },
      });
      const width = dimensions ?? start.width;
      const isBase64 = body.encoding_format === 'base64';
      const embeddingOf = (own: string) => {
        // Most clients ask for just what the worker sent.
        if (isBase64 && width === start.width) return own;
        const vector = width === start.width ? numbersOf(own) : shortened(numbersOf(own), width);
        return isBase64 ? base64Of(vector) : Array.from(vector, shortest);
      };
      const { prompt_tokens } = start;
      return sendList(reply, {
        head: { object: 'list' as const },
        end: { model: body.model, usage: { prompt_tokens, total_tokens: prompt_tokens } },
        count: values.length,
        values: values.length * width,
        item: (index) => ({ object: 'embedding' as const, index, embedding: embeddingOf(values[index]!) }),
      });
    },
  );
};

function inputsOf(input: string | string[] | number[] | number[][]): (string | number[])[] {
  if (typeof input === 'string') return [input];
  return typeof input[0] === 'number' ? [input as number[]] : (input as (string | number[])[]);
}

/** The first `width` numbers, divided by their length; zeros stay zeros. */
function shortened(vector: Float32Array, width: number): Float32Array {
  const kept = vector.subarray(0, width);
  const length = Math.sqrt(kept.reduce((sum, x) => sum + x * x, 0));
  return length === 0 ? kept : kept.map((x) => x / length);
}

const base64Of = ({ buffer, byteOffset, byteLength }: Float32Array): string =>
  Buffer.from(buffer, byteOffset, byteLength).toString('base64');

/** Nine digits identify a float32. */
const shortest = (x: number): number => Number(x.toPrecision(9));
