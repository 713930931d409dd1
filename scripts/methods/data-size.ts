import type { DataSize } from '@graft/peft-core/config';
import { parseJsonl } from '@graft/peft-core/examples';

/** Size of a training file for automatic training: its bytes, or its lines. Throws its faults. */
export function dataSizeOf(file: Parameters<typeof parseJsonl>[0]): DataSize {
  const { examples, answerCharacters, format } = parseJsonl(file);
  return { exampleCount: examples.length, answerCharacters, format };
}
