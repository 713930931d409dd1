import { matrixTargets } from './default-targets.ts';
import { type EncoderFamily, encoderOutline } from './encoder.ts';

/** BERT and MiniLM. Source: transformers, models/bert/configuration_bert.py and modeling_bert.py. */
export const bert: EncoderFamily = {
  modelType: 'bert',
  className: 'Bert',
  defaultTask: 'FEATURE_EXTRACTION',
  optionalPrefix: 'bert.',
  pooling: 'first',
  rateExponent: 0.356,
  // PEFT has no default norm modules for this family.
  defaultTargets: {
    ...matrixTargets(['query', 'value']),
    IA3: { target_modules: ['key', 'value', 'output.dense'], feedforward_modules: ['output.dense'] },
  },
  padding: 0,
  firstPosition: () => 0,
  positionsLast: false,
  head(all, task, { prefix, hidden, labels, deviation }) {
    const pooler = `${prefix}pooler.dense`;
    if (task === 'SEQ_CLS') all.linear(pooler, hidden, hidden, { bias: true });
    if (task === 'FEATURE_EXTRACTION')
      all.linear(pooler, hidden, hidden, { bias: true, fresh: deviation, unread: true });
    else all.linear('classifier', labels, hidden, { bias: true, fresh: deviation });
  },
  outline: (config, task) => encoderOutline(bert, config, task),
};
