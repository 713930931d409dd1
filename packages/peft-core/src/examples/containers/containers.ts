import type { Container } from './container.ts';
import { csv } from './csv.ts';
import { jsonArray } from './json-array.ts';
import { jsonl } from './jsonl.ts';
import { parquet } from './parquet/parquet.ts';
import { tar } from './tar.ts';
import { tsv } from './tsv.ts';

/** All kinds of data files, in the order in which a file's content is compared with them. */
export const containers: readonly Container[] = [parquet, tar, jsonArray, jsonl, csv, tsv];
