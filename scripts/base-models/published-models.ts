import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { UNTIED_WEIGHTS } from '../../packages/peft-core/src/outlines/family.ts';

export type Config = Record<string, unknown>;

interface PublishedModel {
  name: string;
  /** Its config.json, or of a multimodal model that of the text model, which is what Graft trains. */
  config: Config;
  parameters: number;
}

const folder = path.join(import.meta.dirname, '../../test/golden/published-configs');

/** The published models of a family that Graft does not refuse, by ascending size. Throws if there is none. */
export function publishedModels(modelType: string): [PublishedModel, ...PublishedModel[]] {
  const models = readdirSync(folder).flatMap((file) =>
    Object.entries(
      JSON.parse(readFileSync(path.join(folder, file), 'utf8')) as Record<
        string,
        { config: Config & { text_config?: Config }; untied?: string[]; refused?: string; parameters: number }
      >,
    ).flatMap(([name, { config, untied, refused, parameters }]) => {
      const own = [config, config.text_config].find((each) => each?.model_type === modelType);
      if (!own || refused) return [];
      const separate = untied && { [UNTIED_WEIGHTS]: untied.map((module) => `${module}.weight`) };
      return [{ name, config: { ...own, ...separate }, parameters }];
    }),
  );
  const [first, ...others] = models.sort((a, b) => a.parameters - b.parameters);
  if (!first) throw new Error(`test/golden/published-configs has no model of ${modelType}`);
  return [first, ...others];
}
