import { decoderFamily, multimodalFamily } from './decoder.ts';
import { gemma3 } from './decoders/gemma3.ts';
import { gemma3Text } from './decoders/gemma3-text.ts';
import { gemma4 } from './decoders/gemma4/gemma4.ts';
import { gemma4Text } from './decoders/gemma4/gemma4-text.ts';
import { gemma4Unified } from './decoders/gemma4/gemma4-unified.ts';
import { gemma4UnifiedText } from './decoders/gemma4/gemma4-unified-text.ts';
import { gptOss } from './decoders/gpt-oss.ts';
import { granite } from './decoders/granite.ts';
import { graniteMoeHybrid } from './decoders/granitemoehybrid.ts';
import { llama } from './decoders/llama.ts';
import { ministral3 } from './decoders/ministral3.ts';
import { mistral } from './decoders/mistral.ts';
import { mistral3 } from './decoders/mistral3.ts';
import { olmo2 } from './decoders/olmo2.ts';
import { olmo3 } from './decoders/olmo3.ts';
import { phi3 } from './decoders/phi3.ts';
import { qwen2 } from './decoders/qwen2.ts';
import { qwen3 } from './decoders/qwen3.ts';
import { qwen35 } from './decoders/qwen3-5.ts';
import { qwen35Moe } from './decoders/qwen3-5-moe.ts';
import { qwen35MoeText } from './decoders/qwen3-5-moe-text.ts';
import { qwen35Text } from './decoders/qwen3-5-text.ts';
import { qwen3Moe } from './decoders/qwen3-moe.ts';
import { qwen3Next } from './decoders/qwen3-next.ts';
import { smollm3 } from './decoders/smollm3.ts';

/** Decoders with a common forward pass (`models/decoder.ts`), by Hugging Face's `model_type`. */
export const decoders = {
  llama: decoderFamily('llama', llama),
  mistral: decoderFamily('mistral', mistral),
  ministral3: decoderFamily('ministral3', ministral3),
  qwen2: decoderFamily('qwen2', qwen2),
  qwen3: decoderFamily('qwen3', qwen3),
  mistral3: multimodalFamily('mistral3', mistral3),
  gemma3: multimodalFamily('gemma3', gemma3),
  qwen3_moe: decoderFamily('qwen3_moe', qwen3Moe),
  gpt_oss: decoderFamily('gpt_oss', gptOss),
  qwen3_5: multimodalFamily('qwen3_5', qwen35),
  qwen3_5_text: decoderFamily('qwen3_5_text', qwen35Text),
  qwen3_next: decoderFamily('qwen3_next', qwen3Next),
  qwen3_5_moe: multimodalFamily('qwen3_5_moe', qwen35Moe),
  qwen3_5_moe_text: decoderFamily('qwen3_5_moe_text', qwen35MoeText),
  gemma3_text: decoderFamily('gemma3_text', gemma3Text),
  gemma4: multimodalFamily('gemma4', gemma4),
  gemma4_text: decoderFamily('gemma4_text', gemma4Text),
  gemma4_unified: multimodalFamily('gemma4_unified', gemma4Unified),
  gemma4_unified_text: decoderFamily('gemma4_unified_text', gemma4UnifiedText),
  phi3: decoderFamily('phi3', phi3),
  smollm3: decoderFamily('smollm3', smollm3),
  granite: decoderFamily('granite', granite),
  granitemoehybrid: decoderFamily('granitemoehybrid', graniteMoeHybrid),
  olmo2: decoderFamily('olmo2', olmo2),
  olmo3: decoderFamily('olmo3', olmo3),
};
