import { GraftError } from '../../errors.ts';
import type { ModelOutline, ResidualSite } from '../../outlines/outline.ts';
import type { BottleneckConfig } from './config.ts';

/** An adapter at one residual site. `width` is the width of its bottleneck. */
export interface Place {
  site: ResidualSite;
  width: number;
}

/** The option that adds an adapter after each sublayer. */
const options = {
  attention: 'mh_adapter',
  cross_attention: 'cross_adapter',
  feed_forward: 'output_adapter',
} as const;

/**
 * The places of the adapters, in the order of the forward pass. Throws `invalid_peft_config` if reduction_factor has no value for a
 * layer. Source: adapters, methods/bottleneck.py (BottleneckLayer.add_adapter).
 */
export function placesOf(config: BottleneckConfig, model: ModelOutline): Place[] {
  const left = new Set(config.leave_out);
  return model.residualSites
    .filter(({ layer, sublayer }) => config[options[sublayer]] && !left.has(layer))
    .map((site) => ({ site, width: widthAt(config, site.layer, model.hiddenSize) }));
}

function widthAt({ reduction_factor: given }: BottleneckConfig, layer: number, hiddenSize: number): number {
  const factor = typeof given === 'number' ? given : (given[layer] ?? given.default);
  if (factor === undefined)
    throw new GraftError(
      'invalid_peft_config',
      `reduction_factor has neither "${layer}" nor "default": layer ${layer} would have no width`,
      { param: 'peft.reduction_factor' },
    );
  // Python's floor division of floats subtracts the remainder first.
  return Math.max(1, Math.round((hiddenSize - (hiddenSize % factor)) / factor));
}
