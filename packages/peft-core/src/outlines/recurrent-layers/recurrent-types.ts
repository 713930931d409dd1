import type { ConfigFields } from '../config-fields.ts';
import type { Recurrence } from '../outline.ts';

const RECURRENT = 'linear_attention';
const FULL = 'full_attention';
const todaysTypes: Record<string, string> = { mamba: RECURRENT, attention: FULL };

/**
 * The recurrent layers by `layer_types`, or, without that list, by `otherwise`. transformers 4 wrote "mamba" and "attention" for what
 * are "linear_attention" and "full_attention" in transformers 5. Reports invalid fields.
 */
export function recurrentLayers(
  config: Record<string, unknown>,
  fields: ConfigFields,
  otherwise: Recurrence['has'],
): Recurrence['has'] {
  if (config.layer_types == null) return otherwise;
  if (!Array.isArray(config.layer_types) || config.layer_types.length !== config.num_hidden_layers) {
    fields.fault('layer_types must be a list with an entry for each of num_hidden_layers');
    return () => false;
  }
  const types = config.layer_types.map((type) => todaysTypes[String(type)] ?? type);
  const stray = types.find((type) => type !== RECURRENT && type !== FULL);
  if (stray !== undefined)
    fields.fault(`layer_types: ${JSON.stringify(stray)} is not supported; "${RECURRENT}" and "${FULL}" are`);
  return (layer) => types[layer] === RECURRENT;
}
