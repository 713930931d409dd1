/** Thread that matches a job's regular expressions with the modules of its base model, and reads the schemas that answers must follow. */
import { checkAgainstModel } from '@graft/peft-core/check';
import type { PeftConfig } from '@graft/peft-core/config';
import { type Demands, type DemandsBody, demandsOf } from '../answer-demands.ts';
import { answerChecks } from '../threads/answer-checks.ts';

export interface OptionCheck {
  peft: PeftConfig;
  modelConfig: Record<string, unknown>;
}

answerChecks<OptionCheck | { demands: DemandsBody }, Demands | undefined>((input) =>
  'demands' in input ? demandsOf(input.demands) : void checkAgainstModel(input.peft, input.modelConfig),
);
