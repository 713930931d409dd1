import type { ModelOutline } from '../../outlines/outline.ts';
import { copiedEmbeddings } from '../file-tensors.ts';
import type { FileCopy } from '../tuner.ts';

/** The copies of wrapped embeddings that PEFT writes into the files. When files are read, only the copies' shapes are checked. */
export function embeddingCopies(
  targets: string[] | string | null,
  wrapped: string[],
  model: ModelOutline,
): FileCopy[] {
  return copiedEmbeddings(targets, wrapped, model).map(({ name, shape, base }) => ({
    name,
    shape,
    of: { base },
  }));
}
