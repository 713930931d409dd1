/** Thread that matches a job's regular expressions with the modules of its base model. */
import { checkAgainstModel } from '@graft/peft-core/check';
import type { PeftConfig } from '@graft/peft-core/config';
import { answerChecks } from '../threads/answer-checks.ts';

export interface OptionCheck {
  peft: PeftConfig;
  modelConfig: Record<string, unknown>;
}

answerChecks<OptionCheck, void>(({ peft, modelConfig }) => checkAgainstModel(peft, modelConfig));
