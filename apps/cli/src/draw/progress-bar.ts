import type { Paint } from './paint.ts';

/** ━━━━━━━───── of `width` characters; `part` from 0 to 1. */
export function progressBar(part: number, width: number, paint: Paint): string {
  const done = Math.round(Math.min(1, Math.max(0, part)) * width);
  return paint.line('━'.repeat(done)) + paint.dim('─'.repeat(width - done));
}
