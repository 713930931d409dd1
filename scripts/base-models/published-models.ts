import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { UNTIED_WEIGHTS } from '../../packages/peft-core/src/outlines/family.ts';

export type Config = Record<string, unknown>;

interface PublishedModel {
  name: string;
  /** URL of the published config; null: a shape for tests, not a claim about a model. */
  source: string | null;
  /** Its config.json; for a multimodal model the part of the text model, which Graft trains. */
  config: Config;
  parameters: number;
}

const folder = path.join(import.meta.dirname, '../../test/golden/published-configs');

/** The supported models of a family that have a public source, by ascending size. */
export const publishedModels = (modelType: string): PublishedModel[] =>
  shapesOf(modelType).filter(({ source }) => source !== null);

/** Supported models and test shapes of a family, by ascending size. Throws if there is none. */
export function shapesOf(modelType: string): [PublishedModel, ...PublishedModel[]] {
  const models = readdirSync(folder).flatMap((file) =>
    Object.entries(
      JSON.parse(readFileSync(path.join(folder, file), 'utf8')) as Record<
        string,
        Pick<PublishedModel, 'source' | 'parameters'> & {
          config: Config & { text_config?: Config };
          untied?: string[];
          refused?: string;
        }
      >,
    ).flatMap(([name, { config, source, untied, refused, parameters }]) => {
      const own = [config, config.text_config].find((each) => each?.model_type === modelType);
      if (!own || refused) return [];
      const separate = untied && { [UNTIED_WEIGHTS]: untied.map((module) => `${module}.weight`) };
      return [{ name, source, config: { ...own, ...separate }, parameters }];
    }),
  );
  const [first, ...others] = models.sort((a, b) => a.parameters - b.parameters);
  if (!first) throw new Error(`test/golden/published-configs has no model of ${modelType}`);
  return [first, ...others];
}
