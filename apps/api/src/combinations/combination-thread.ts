/** Thread that combines the files of adapter versions, and checks the result like an upload. */
import {
  type CombinationRequest,
  type CombinedAdapters,
  checkAdapterFiles,
  combineAdapters,
} from '@graft/peft-core/files';
import { answerChecks } from '../threads/answer-checks.ts';

/** The digest of the base's weights is known. */
export type CombinationWork = CombinationRequest & { base: { digest: string } };

answerChecks<CombinationWork, CombinedAdapters['peft']>(async (work) => {
  const { peft } = await combineAdapters(work);
  // Weighted sums may be infinite.
  checkAdapterFiles(work.output, work.base);
  return peft;
});
