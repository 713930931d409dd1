/** Tests every option of every tuner on a tiny llama; conformance-architectures.test.ts has the other architectures. */
import { type ConformanceModel, testTuners } from '../testing/test-tuners.ts';
import { everyOption } from '../testing/tuner-configurations.ts';

const model: ConformanceModel = {
  config: { attention_bias: false },
  line: (i) => ({ prompt: `${i}:`, completion: ` ${i % 2 ? 'odd' : 'even'}` }),
  probes: [{ text: '3: odd' }, { text: 'anything else?' }],
};
testTuners(model, everyOption);
testTuners(
  { ...model, config: { tie_word_embeddings: false } },
  {
    'BOTTLENECK, parallel, with the head': {
      peft_type: 'BOTTLENECK',
      preset: 'par_bn',
      modules_to_save: ['lm_head'],
      non_linearity: 'tanh',
      mh_adapter: true,
      leave_out: [0],
      scaling: 'learned',
      init_weights: 'houlsby',
    },
  },
);
