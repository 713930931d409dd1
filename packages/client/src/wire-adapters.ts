/** Adapters, their versions and tags, as the API writes them. */
import type { AdapterComparison } from './generated/wire.ts';

export type {
  Adapter,
  AdapterComparison,
  AdapterLineage,
  AdapterTag,
  AdapterVersion,
  DeletedAdapter,
  DeletedAdapterTag,
  DeletedAdapterVersion,
  MovedAdapterTag,
} from './generated/wire.ts';

/** A value that differs; a side without one has no key. */
export type AdapterDifference = AdapterComparison['config'][number];
