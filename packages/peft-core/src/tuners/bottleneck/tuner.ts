import type { Architecture } from '../../models/architecture.ts';
import { savedModules } from '../attach/saved-modules.ts';
import { constant, drawn, uniform } from '../attach/start-values.ts';
import type {
  AdapterParameter,
  Attachment,
  FileCopy,
  ParameterInit,
  ResidualAddWrapper,
  Tuner,
} from '../tuner.ts';
import { ADAPTER_NAME, type BottleneckConfig } from './config.ts';
import { type Place, placesOf } from './places.ts';
import { bottleneckResidualAdd } from './residual-add.ts';

/** Bottleneck adapters. Options, names and start values follow the `adapters` library's BnConfig. */
export const bottleneckTuner: Tuner<BottleneckConfig> = { keyPrefix: '', attach };

function attach(config: BottleneckConfig, model: Architecture): Attachment {
  const { parameters, replacements } = savedModules(config, model);
  const residualAdds = new Map<string, ResidualAddWrapper>();
  const copies: FileCopy[] = [];
  for (const place of placesOf(config, model)) {
    const path = `${place.site.module}.adapters.${ADAPTER_NAME}`;
    parameters.push(...parametersAt(path, place, config, model.hiddenSize));
    residualAdds.set(place.site.module, bottleneckResidualAdd(path, config));
    // The library stores the norm before a bottleneck under two names, and reports a missing key if either is absent.
    if (config.ln_before)
      for (const part of ['weight', 'bias'])
        copies.push({
          name: `${path}.adapter_down.0.${part}`,
          shape: [model.hiddenSize],
          of: { adapter: `${path}.adapter_norm_before.${part}` },
        });
  }
  return {
    parameters,
    replacements,
    residualAdds,
    copies,
    ...(config.dropout > 0 ? { drops: `dropout ${config.dropout}` } : {}),
  };
}

/** Source: adapters, methods/modeling.py (Adapter.__init__). */
function parametersAt(
  path: string,
  { width }: Place,
  config: BottleneckConfig,
  hiddenSize: number,
): AdapterParameter[] {
  const filled = (name: string, size: number, value: number): AdapterParameter => ({
    name: `${path}.${name}`,
    shape: [size],
    init: constant(size, value),
  });
  const norm = (name: string) => [
    filled(`${name}.weight`, hiddenSize, 1),
    filled(`${name}.bias`, hiddenSize, 0),
  ];
  const matrix = (name: string, out: number, from: number, start: Start): AdapterParameter => ({
    name: `${path}.${name}.weight`,
    shape: [out, from],
    init: start(out * from, from),
  });
  const starts = startValues[config.init_weights];
  const down = config.ln_before ? 'adapter_down.1' : 'adapter_down.0';
  return [
    ...(config.ln_before ? norm('adapter_norm_before') : []),
    matrix(down, width, hiddenSize, starts.down),
    filled(`${down}.bias`, width, 0),
    matrix('adapter_up', hiddenSize, width, starts.up),
    filled('adapter_up.bias', hiddenSize, 0),
    ...(config.scaling === 'learned' ? [filled('scaling', 1, 1)] : []),
    ...(config.scaling === 'channel' ? [filled('scaling', hiddenSize, 1)] : []),
    ...(config.ln_after ? norm('adapter_norm_after') : []),
  ];
}

/** Draws the start values of a weight with `size` elements and an input of width `from`. */
type Start = (size: number, from: number) => ParameterInit;

const narrow: Start = (size) => drawn(size, (random) => 0.02 * random.normal());
const truncated: Start = (size) =>
  drawn(size, (random) => {
    for (;;) {
      const value = random.normal();
      if (Math.abs(value) <= 2) return 0.01 * value;
    }
  });

const startValues: Record<BottleneckConfig['init_weights'], { down: Start; up: Start }> = {
  bert: { down: narrow, up: narrow },
  mam_adapter: { down: (size, from) => drawn(size, uniform(from)), up: (size) => constant(size, 0) },
  houlsby: { down: truncated, up: truncated },
};
