import type { tf } from '@graft/tf-graph';
import { activation } from '../nn/activations.ts';
import { bert as family } from '../outlines/bert.ts';
import type { TaskType } from '../outlines/outline.ts';
import type { Architecture, ModelRuntime } from './architecture.ts';
import { encoder } from './encoder.ts';

/** BERT and MiniLM. Sequence classification reads the pooler's output, token classification the hidden states. */
export function bert(config: Record<string, unknown>, task: TaskType): Architecture {
  const outline = family.outline(config, task);
  const body = encoder(outline);
  if (task === 'FEATURE_EXTRACTION') return body;
  const logits = (runtime: ModelRuntime, hidden: tf.Tensor) => {
    const read =
      task === 'SEQ_CLS'
        ? activation('tanh')(runtime.linear(`${outline.prefix}pooler.dense`, hidden))
        : hidden;
    return runtime.linear('classifier', runtime.dropout(read, outline.dropout.classifier));
  };
  return { ...body, logits };
}
