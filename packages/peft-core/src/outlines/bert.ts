import { type EncoderKind, type EncoderOutline, encoderOutline } from './encoder.ts';
import type { TaskType } from './outline.ts';

/** Source: transformers, models/bert/configuration_bert.py and modeling_bert.py. */
const kind: EncoderKind = {
  modelType: 'bert',
  // PEFT has no norms for this family.
  defaultTargets: {
    LORA: { target_modules: ['query', 'value'] },
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
};

export const bertOutline = (raw: Record<string, unknown>, task: TaskType): EncoderOutline =>
  encoderOutline(kind, raw, task);
