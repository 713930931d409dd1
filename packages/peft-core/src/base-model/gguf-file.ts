import { familyOfFile, ggufConfig } from '../gguf/config.ts';
import { type GgufFile, openGguf } from '../gguf/gguf.ts';
import { type RopeFactors, ropeFactorNames } from '../gguf/rope-fields.ts';
import { GgufTensors, readGgufTensor } from '../gguf/tensors.ts';
import { ggufTokenizer } from '../gguf/tokenizer.ts';
import type { OpenedModel } from './base-model.ts';

/** One factor for each pair of values of a head; a head has at most 16,384 values. */
const maxFactors = 8_192;

/** The id that ends answers, and that of the end of a turn, if a file has another one for that. */
function endsOf({ metadata }: GgufFile, eos: unknown): unknown {
  const turnEnd = metadata.count('tokenizer.ggml.eot_token_id');
  return typeof eos !== 'number' || turnEnd === undefined || turnEnd === eos ? eos : [eos, turnEnd];
}

async function ropeFactors(gguf: GgufFile): Promise<RopeFactors> {
  const { all, short, long } = ropeFactorNames;
  return {
    all: await readGgufTensor(gguf, all, maxFactors),
    short: await readGgufTensor(gguf, short, maxFactors),
    long: await readGgufTensor(gguf, long, maxFactors),
  };
}

/** Opens a GGUF file as a Hugging Face model. */
export async function openGgufModel(path: string, onFile: (file: string) => void): Promise<OpenedModel> {
  onFile(path);
  const gguf = await openGguf(path);
  try {
    const family = familyOfFile(gguf);
    const config = ggufConfig(gguf, await ropeFactors(gguf));
    const { bos_token_id, eos_token_id, pad_token_id } = config;
    return {
      format: 'gguf',
      path,
      config,
      generationConfig: { bos_token_id, eos_token_id: endsOf(gguf, eos_token_id), pad_token_id },
      tokenizerFiles: ggufTokenizer(
        path,
        gguf.metadata,
        gguf.metadata.count(`${family.gguf.architecture}.context_length`),
      ),
      tensors: new GgufTensors(gguf, family),
      weightFiles: [path],
      close: () => gguf.close(),
    };
  } catch (error) {
    await gguf.close();
    throw error;
  }
}
