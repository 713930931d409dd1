/** Thread that combines the files of adapter versions, and checks the result like an upload. */
import {
  type CombinationRequest,
  type CombinedAdapters,
  checkAdapterFiles,
  combineAdapters,
} from '@graft/peft-core/files';
import { answerChecks } from '../threads/answer-checks.ts';

/** A request with the digest of the base model's weights, so that the thread does not compute it. */
export type CombinationWork = CombinationRequest & { base: { digest: string } };

answerChecks<CombinationWork, CombinedAdapters['peft']>(async (work) => {
  const { peft } = await combineAdapters(work);
  // Weighted sums may be infinite.
  checkAdapterFiles(work.output, work.base);
  return peft;
});
