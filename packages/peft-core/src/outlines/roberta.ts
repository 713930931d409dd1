import { matrixTargets } from './default-targets.ts';
import { type EncoderFamily, encoderOutline } from './encoder.ts';

/** RoBERTa. Source: transformers, models/roberta/configuration_roberta.py and modeling_roberta.py. */
export const roberta: EncoderFamily = {
  modelType: 'roberta',
  className: 'Roberta',
  defaultTask: 'FEATURE_EXTRACTION',
  optionalPrefix: 'roberta.',
  pooling: 'first',
  rateExponent: 0.356,
  // PEFT has no default norm modules for this family.
  defaultTargets: {
    ...matrixTargets(['query', 'value']),
    IA3: { target_modules: ['key', 'value', 'output.dense'], feedforward_modules: ['output.dense'] },
  },
  padding: 1,
  // Positions start after the padding's own position.
  firstPosition: (config) => config.count('pad_token_id', 1) + 1,
  positionsLast: true,
  head(all, task, { hidden, labels, deviation }) {
    if (task === 'FEATURE_EXTRACTION')
      all.linear('pooler.dense', hidden, hidden, { bias: true, fresh: deviation, unread: true });
    if (task === 'SEQ_CLS')
      all
        .container('classifier')
        .linear('classifier.dense', hidden, hidden, { bias: true, fresh: deviation })
        .linear('classifier.out_proj', labels, hidden, { bias: true, fresh: deviation });
    if (task === 'TOKEN_CLS') all.linear('classifier', labels, hidden, { bias: true, fresh: deviation });
  },
  outline: (config, task) => encoderOutline(roberta, config, task),
};
