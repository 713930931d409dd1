import type { tf } from '@graft/tf-graph';
import { activation } from '../nn/activations.ts';
import type { TaskType } from '../outlines/outline.ts';
import { roberta as family } from '../outlines/roberta.ts';
import type { Architecture, ModelRuntime } from './architecture.ts';
import { encoder } from './encoder.ts';

/** RoBERTa. Sequence classification has a head of two layers, token classification of one. */
export function roberta(config: Record<string, unknown>, task: TaskType): Architecture {
  const outline = family.outline(config, task);
  const body = encoder(outline);
  if (task === 'FEATURE_EXTRACTION') return body;
  const logits = (runtime: ModelRuntime, hidden: tf.Tensor) => {
    const drop = (x: tf.Tensor) => runtime.dropout(x, outline.dropout.classifier);
    if (task === 'TOKEN_CLS') return runtime.linear('classifier', drop(hidden));
    const inner = activation('tanh')(runtime.linear('classifier.dense', drop(hidden)));
    return runtime.linear('classifier.out_proj', drop(inner));
  };
  return { ...body, logits };
}
