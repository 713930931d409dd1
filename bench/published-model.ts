import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { writeModel } from './families/models.ts';

type Config = Record<string, unknown> & { model_type: string };

/**
 * Writes a model with the config.json of a published one, by its name on the Hub, and random weights in bfloat16; of the first `layers`
 * layers, or all.
 */
export async function writePublishedModel(folder: string, name: string, layers?: number): Promise<string> {
  const config = publishedConfig(name);
  return await writeModel(folder, path.basename(name), layers ? withLayers(config, layers) : config);
}

function publishedConfig(name: string): Config {
  const folder = path.join(import.meta.dirname, '../test/golden/published-configs');
  for (const file of readdirSync(folder)) {
    const all: Record<string, { config: Config & { text_config?: Config } }> = JSON.parse(
      readFileSync(path.join(folder, file), 'utf8'),
    );
    const config = all[name]?.config;
    if (config) return config.text_config ?? config;
  }
  throw new Error(`no file of test/golden/published-configs has a model "${name}"`);
}

/** The first layers. Where the last ones attend to keys of others, half of them do. */
function withLayers(config: Config, layers: number): Config {
  const cut: Record<string, unknown> = { num_hidden_layers: layers };
  if (Array.isArray(config.layer_types)) cut.layer_types = config.layer_types.slice(0, layers);
  const shared = Number(config.num_kv_shared_layers ?? 0);
  if (shared > 0) cut.num_kv_shared_layers = Math.min(shared, Math.floor(layers / 2));
  return { ...config, ...cut };
}
