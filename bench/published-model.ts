import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { writeRandomModel } from '../scripts/check-gpu/models.ts';

export type Config = Record<string, unknown> & { model_type: string };

/** Configurations of test/golden/published-configs, by name on the Hub; of a multimodal model that of its text model. */
export function publishedConfigs(): Map<string, { config: Config; parameters: number }> {
  const folder = path.join(import.meta.dirname, '../test/golden/published-configs');
  const entries = readdirSync(folder).flatMap((file) => {
    const all: Record<string, { config: Config & { text_config?: Config }; parameters: number }> = JSON.parse(
      readFileSync(path.join(folder, file), 'utf8'),
    );
    return Object.entries(all).map(
      ([name, { config, parameters }]): [string, { config: Config; parameters: number }] => [
        name,
        { config: config.text_config ?? config, parameters },
      ],
    );
  });
  return new Map(entries);
}

/** Writes a model with the configuration of a published one and random weights in bfloat16; of the first `layers` layers, or all. */
export async function writePublishedModel(folder: string, name: string, layers?: number): Promise<string> {
  const config = publishedConfigs().get(name)?.config;
  if (!config) throw new Error(`no file of test/golden/published-configs has a model "${name}"`);
  const model = path.join(folder, path.basename(name));
  await writeRandomModel(model, layers ? withLayers(config, layers) : config);
  return model;
}

/** The first layers. Where the last ones attend to keys of others, half of them do. */
function withLayers(config: Config, layers: number): Config {
  const cut: Record<string, unknown> = { num_hidden_layers: layers };
  if (Array.isArray(config.layer_types)) cut.layer_types = config.layer_types.slice(0, layers);
  const shared = Number(config.num_kv_shared_layers ?? 0);
  if (shared > 0) cut.num_kv_shared_layers = Math.min(shared, Math.floor(layers / 2));
  return { ...config, ...cut };
}
