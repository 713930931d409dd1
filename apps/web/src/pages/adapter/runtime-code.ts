import type { AdapterVersion, Model } from '@graft/client';
import { shellQuoted } from '../../text/shell.ts';

type Version = Pick<
  AdapterVersion,
  'model' | 'adapter_name' | 'base_model' | 'download_path' | 'peft' | 'system_prompt'
>;

/** What code is written of. */
interface Use {
  version: Version;
  /** The base model on the Hub; null: only its folder is known. */
  hub: Model['hub'];
  /** This server's, as in `https://graft.example`. */
  origin: string;
}

/** Where the adapter's files lie in the code. */
const folder = 'my-adapter';
/** Not Graft's own. */
const port = 8001;

/** Of transformers, by the task that an adapter was trained for. */
const autoClasses: Record<string, string> = {
  CAUSAL_LM: 'AutoModelForCausalLM',
  SEQ_2_SEQ_LM: 'AutoModelForSeq2SeqLM',
  SEQ_CLS: 'AutoModelForSequenceClassification',
  TOKEN_CLS: 'AutoModelForTokenClassification',
  FEATURE_EXTRACTION: 'AutoModel',
};

const chats = ({ peft }: Version) => peft.task_type === 'CAUSAL_LM';
const writesText = (version: Version) => chats(version) || version.peft.task_type === 'SEQ_2_SEQ_LM';

/** How a version is used in each runtime that the API may name, several ways of one behind each other. */
const code: Record<string, Record<string, (use: Use) => string>> = {
  Graft: { 'Graft (curl)': curl, 'Graft (Python)': openAiPython, 'Graft (TypeScript)': openAiNode },
  'HF PEFT': { 'HF PEFT': peft },
  adapters: { adapters: adaptersLibrary },
  vLLM: { vLLM: vllm },
  SGLang: { SGLang: sglang },
  TGI: { TGI: tgi },
  'llama.cpp (converted)': { 'llama.cpp (converted)': convertedToGguf },
};

/** Names of the code for these runtimes; of one that this page does not know, how to get the files. */
export function codeNames({ runtimes, peft }: Pick<AdapterVersion, 'runtimes' | 'peft'>): string[] {
  return runtimes.flatMap((runtime) => {
    if (runtime === 'Graft' && !writesText({ peft } as Version)) return [runtime];
    return Object.keys(code[runtime] ?? { [runtime]: fetching });
  });
}

/** Code to copy, by its name. */
export function codeFor(name: string, use: Use): string {
  if (name === 'Graft') return score(use);
  const write = Object.values(code).find((forms) => name in forms)?.[name] ?? fetching;
  return `${write(use).trimEnd()}\n`;
}

function messagesOf({ system_prompt: system }: Version, said = 'Hello!') {
  const first = system === null ? [] : [{ role: 'system', content: system }];
  return [...first, { role: 'user', content: said }];
}

/** A request to a server that speaks OpenAI's format. */
const request = (
  url: string,
  model: string,
  version: Version,
  key = '',
) => `curl ${url}/v1/chat/completions \\
  ${key}-H "Content-Type: application/json" \\
  -d ${shellQuoted(JSON.stringify({ model, messages: messagesOf(version) }))}`;

function curl({ version, origin }: Use): string {
  return request(origin, version.model, version, '-H "Authorization: Bearer $GRAFT_API_KEY" ');
}

function openAiPython({ version, origin }: Use): string {
  return `# pip install openai
import os
from openai import OpenAI

client = OpenAI(base_url="${origin}/v1", api_key=os.environ["GRAFT_API_KEY"])
answer = client.chat.completions.create(
    model=${JSON.stringify(version.model)},
    messages=${pythonMessages(version)},
)
print(answer.choices[0].message.content)`;
}

function openAiNode({ version, origin }: Use): string {
  const messages = messagesOf(version).map((message) => `    ${JSON.stringify(message)},`);
  return `// npm install openai
import OpenAI from 'openai';

const client = new OpenAI({ baseURL: '${origin}/v1', apiKey: process.env.GRAFT_API_KEY });
const answer = await client.chat.completions.create({
  model: ${JSON.stringify(version.model)},
  messages: [
${messages.join('\n')}
  ],
});
console.log(answer.choices[0].message.content);`;
}

/** Of a task that writes no text. */
const score = ({ version, origin }: Use) => `# In the folder of Graft, which has the engine that scores:
export GRAFT_BASE_URL=${origin}/v1
npx graft adapters download ${shellQuoted(version.model)} --output ${folder}
npx graft score --model ${version.base_model} --adapter ${folder} --input texts.jsonl --output scores.jsonl`;

function peft(use: Use): string {
  const { version } = use;
  return `${inPython(use, 'peft transformers torch')}
from peft import PeftModel
from transformers import ${autoClass(version)}, AutoTokenizer

${pythonBase(use)}
tokenizer = AutoTokenizer.from_pretrained(base)
model = PeftModel.from_pretrained(${autoClass(version)}.from_pretrained(base${classes(version)}), "${folder}")
${generation(version)}`;
}

function adaptersLibrary(use: Use): string {
  const { version } = use;
  return `${inPython(use, 'adapters torch')}
import adapters
from transformers import ${autoClass(version)}, AutoTokenizer

${pythonBase(use)}
tokenizer = AutoTokenizer.from_pretrained(base)
model = ${autoClass(version)}.from_pretrained(base${classes(version)})
adapters.init(model)
model.load_adapter("${folder}", use_safetensors=True, set_active=True)
${generation(version)}`;
}

function vllm(use: Use): string {
  const { version } = use;
  return `${serving(use, 'pip install vllm')}
vllm serve ${base(use)} --port ${port} \\
  --enable-lora --max-lora-rank ${rankLimit(version)} --lora-modules ${version.adapter_name}=./${folder}

${whenReady(version, version.adapter_name)}`;
}

function sglang(use: Use): string {
  const { version } = use;
  return `${serving(use, 'pip install "sglang[all]"')}
python -m sglang.launch_server --model-path ${base(use)} --port ${port} \\
  --enable-lora --lora-paths ${version.adapter_name}=./${folder}

${whenReady(version, `${base(use)}:${version.adapter_name}`)}`;
}

function tgi(use: Use): string {
  const { version } = use;
  return `${serving(use, 'text-generation-launcher comes with Text Generation Inference, and in its container image.')}
text-generation-launcher --model-id ${base(use)} --port ${port} \\
  --lora-adapters ${version.adapter_name}="$PWD/${folder}"

${whenReady(version, version.adapter_name)}`;
}

function convertedToGguf(use: Use): string {
  const { version, hub } = use;
  const system = version.system_prompt === null ? '' : ` -sys ${shellQuoted(version.system_prompt)}`;
  const files = hub
    ? `pip install huggingface_hub
hf download ${hub.id} --local-dir base-model`
    : `# base-model: the folder of ${version.base_model} as Hugging Face has it.`;
  return `${fetching(use)}
${weightsNote(use)}${files}
git clone --depth 1 https://github.com/ggml-org/llama.cpp
pip install -r llama.cpp/requirements.txt
python llama.cpp/convert_hf_to_gguf.py base-model --outfile base-model.gguf
python llama.cpp/convert_lora_to_gguf.py ${folder} --base base-model --outfile ${folder}.gguf
llama-cli -m base-model.gguf --lora ${folder}.gguf${system} -p "Hello!"`;
}

const autoClass = ({ peft }: Version) => autoClasses[peft.task_type] ?? 'AutoModel';
/** The head must have as many classes as it was trained with, which the files tell and the base model does not. */
const classes = ({ peft }: Version) =>
  ['SEQ_CLS', 'TOKEN_CLS'].includes(peft.task_type) ? ', num_labels=N' : '';

function fetching({ version, origin }: Use): string {
  return `mkdir -p ${folder}
curl -f ${origin}${version.download_path} -H "Authorization: Bearer $GRAFT_API_KEY" | tar -xf - -C ${folder}`;
}

const inPython = (use: Use, packages: string) =>
  [...fetching(use).split('\n'), `pip install ${packages}`].map((line) => `# ${line}`).join('\n');

/** What other runtimes load as the base model. */
const base = ({ version, hub }: Use) => hub?.id ?? `./${version.base_model.replaceAll('/', '-')}`;

const pythonBase = (use: Use) =>
  `${weightsNote(use)}base = ${JSON.stringify(base(use))}  # ${use.hub ? 'fetched from the Hugging Face Hub' : 'the folder of the base model'}`;

const weightsNote = ({ hub }: Use) =>
  hub?.quantization
    ? `# Graft trained on the ${hub.quantization} weights of this model. The Hub's full weights give nearly the same answers.\n`
    : '';

const serving = (use: Use, install: string) =>
  `${fetching(use)}
# ${install}
${weightsNote(use)}${use.hub ? '' : `# ${base(use)}: the folder of the base model.\n`}`.trimEnd();

const whenReady = (version: Version, model: string) => `# In another terminal, when the server is ready:
${request(`http://127.0.0.1:${port}`, model, version)}`;

const pythonMessages = (version: Version) =>
  `[
${messagesOf(version)
  .map(({ role, content }) => `        {"role": "${role}", "content": ${JSON.stringify(content)}},`)
  .join('\n')}
    ]`;

function generation(version: Version): string {
  if (!writesText(version)) return '';
  if (!chats(version))
    return `inputs = tokenizer("Hello!", return_tensors="pt")
print(tokenizer.decode(model.generate(**inputs, max_new_tokens=100)[0], skip_special_tokens=True))`;
  const messages = messagesOf(version).map(
    ({ role, content }) => `    {"role": "${role}", "content": ${JSON.stringify(content)}},`,
  );
  return `messages = [
${messages.join('\n')}
]
# A base model without a chat template takes tokenizer("Hello!", return_tensors="pt") instead.
inputs = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=True, return_tensors="pt")
output = model.generate(**inputs, max_new_tokens=100)[0]
print(tokenizer.decode(output[inputs["input_ids"].shape[1]:], skip_special_tokens=True))`;
}

/** The next of the ranks that vLLM takes as a limit. */
function rankLimit({ peft }: Version): number {
  const { r } = peft as { r?: number };
  return [8, 16, 32, 64, 128, 256, 320, 512].find((limit) => limit >= (r ?? 0)) ?? 512;
}
