/** Adapters, their versions and tags, as the API returns them. */
import type { AdapterComparison, AdapterExportFormatList } from './generated/wire.ts';

export type {
  Adapter,
  AdapterComparison,
  AdapterExport,
  AdapterExportFormatList,
  AdapterLineage,
  AdapterPublication,
  AdapterTag,
  AdapterVersion,
  CombineAdapters,
  CreateAdapterExport,
  CreateAdapterPublication,
  DeletedAdapter,
  DeletedAdapterExport,
  DeletedAdapterPublication,
  DeletedAdapterTag,
  DeletedAdapterVersion,
  MovedAdapterTag,
} from './generated/wire.ts';

/** A format in which a version can be exported. */
export type AdapterExportFormat = AdapterExportFormatList['data'][number];

/** A value that differs; a side without a value lacks the key. */
export type AdapterDifference = AdapterComparison['config'][number];
