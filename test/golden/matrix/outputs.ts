import { scoreTexts } from '@graft/peft-core';
import { openBaseModel } from '@graft/peft-core/files';
import type { Probe } from './probes.ts';

/** What Graft gives for each sequence, flat: log-probabilities, logits or an embedding, as score.py has them. */
export async function graftOutputs(
  model: string,
  adapterDir: string | null,
  inputs: Probe[],
): Promise<number[][]> {
  const base = await openBaseModel(model);
  try {
    const rows: number[][] = [];
    const input = inputs.map((probe) => (Array.isArray(probe) ? { input_ids: probe } : probe));
    for await (const score of scoreTexts({ base, adapterDir, input })) {
      if ('logprobs' in score) rows.push(score.logprobs);
      else rows.push('logits' in score ? score.logits.flat() : score.embedding);
    }
    return rows;
  } finally {
    await base.close();
  }
}
