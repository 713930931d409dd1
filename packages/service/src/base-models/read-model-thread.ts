/** Worker thread: reads the small files of one base model at a time, and tries its tokenizer and its chat template. */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { parentPort } from 'node:worker_threads';
import { defaultPeft, GraftError, parsePeftConfig } from '@graft/peft-core/config';
import { exportedAdapter } from '@graft/peft-core/exports';
import {
  type BaseModel,
  openBaseModel,
  readSentencePrompts,
  type SentencePrompts,
  type TensorInfo,
} from '@graft/peft-core/files';
import { loadTokenizer, type PackedTokenizer, packTokenizer } from '@graft/peft-core/text';

/** The small parts of a base model, which can be posted to another thread. */
export interface ReadModel
  extends Pick<BaseModel, 'modelType' | 'config' | 'generationConfig' | 'weightFiles'> {
  tokenizer: PackedTokenizer;
  tensors: Map<string, TensorInfo>;
  smallFiles: { bytes: number; chatTemplate: string | null; prompts: SentencePrompts | null };
}

/** The file being read, followed by the result. A GraftError is sent as its fields, an internal error as text. */
export type ReadMessage =
  | { reading: string }
  | { model: ReadModel }
  | { fault: Pick<GraftError, 'code' | 'message' | 'param'> }
  | { broken: string };

const send = (message: ReadMessage) => parentPort!.postMessage(message);

async function read(location: string): Promise<ReadModel> {
  const model = await openBaseModel(location, { onFile: (file) => send({ reading: file }) });
  try {
    tryTokenizer(model);
    const { modelType, config, generationConfig, weightFiles, tokenizerFiles } = model;
    const tensors = new Map(model.tensors.names().map((name) => [name, model.tensors.info(name)]));
    return {
      modelType,
      config,
      generationConfig,
      weightFiles,
      tensors,
      tokenizer: packTokenizer(tokenizerFiles),
      smallFiles: await smallFilesOf(model),
    };
  } finally {
    await model.close();
  }
}

/** Facts about the model's small files for exports and jobs; an adapter may bring another chat template, and other prompts. */
async function smallFilesOf(model: BaseModel): Promise<ReadModel['smallFiles']> {
  const { smallFileBytes, chatTemplate } = exportedAdapter(model, {
    config: parsePeftConfig(defaultPeft),
    chatTemplate: null,
    bytes: 0,
  });
  return { bytes: smallFileBytes, chatTemplate, prompts: await readSentencePrompts(model.path) };
}

/** Finds faults before a job or an answer needs the tokenizer. Throws GraftErrors that name the file. */
function tryTokenizer({ format, path: folder, tokenizerFiles }: BaseModel): void {
  const fileOf = (name: string) => (format === 'gguf' ? folder : path.join(folder, name));
  const jinja = fileOf('chat_template.jinja');
  const template = existsSync(jinja) ? jinja : fileOf('tokenizer_config.json');
  const named = (error: unknown): never => {
    const { code, message } =
      error instanceof GraftError
        ? error
        : new GraftError('unsupported_tokenizer', `cannot be used: ${(error as Error).message}`);
    const file = code === 'invalid_chat_template' ? template : fileOf('tokenizer.json');
    throw new GraftError(code, message.startsWith(file) ? message : `${file}: ${message}`, {
      param: 'model',
      cause: error,
    });
  };
  try {
    const tokenizer = loadTokenizer(tokenizerFiles);
    tokenizer.decode(tokenizer.encode('Hello, world! 1234\n'));
    if (tokenizerFiles.chatTemplate !== null) {
      send({ reading: template });
      tokenizer.applyChatTemplate([{ role: 'user', content: 'Hello' }], { addGenerationPrompt: true });
    }
  } catch (error) {
    // A template may reject the sample conversation.
    if (error instanceof GraftError && error.code === 'chat_template_error') return;
    named(error);
  }
}

parentPort!.on('message', async (location: string) => {
  try {
    send({ model: await read(location) });
  } catch (error) {
    if (error instanceof GraftError) {
      const { code, message, param } = error;
      send({ fault: { code, message, param } });
    } else send({ broken: error instanceof Error ? (error.stack ?? error.message) : String(error) });
  }
});
