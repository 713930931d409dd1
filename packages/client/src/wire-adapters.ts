/** Adapters, their versions and tags, as the API returns them. */
import type { AdapterComparison } from './generated/wire.ts';

export type {
  Adapter,
  AdapterComparison,
  AdapterLineage,
  AdapterTag,
  AdapterVersion,
  CombineAdapters,
  DeletedAdapter,
  DeletedAdapterTag,
  DeletedAdapterVersion,
  MovedAdapterTag,
} from './generated/wire.ts';

/** A value that differs; a side without a value lacks the key. */
export type AdapterDifference = AdapterComparison['config'][number];
