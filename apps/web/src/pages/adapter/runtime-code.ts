import type { AdapterVersion, Model } from '@graft/client';
import { shellQuoted } from '../../text/shell.ts';

type Version = Pick<
  AdapterVersion,
  'model' | 'adapter_name' | 'base_model' | 'download_path' | 'lineage' | 'peft' | 'system_prompt'
>;

interface CodeInput {
  version: Version;
  /** The base model on the Hugging Face Hub; null: not known. */
  hub: Model['hub'];
  /** This server's origin, such as `https://graft.example`. */
  origin: string;
}

const folder = 'my-adapter';
/** Port of the server in the code; not Graft's. */
const port = 8001;

/** Classes of transformers by the adapter's task type, for versions whose lineage names none. */
const autoClasses: Record<string, string> = {
  CAUSAL_LM: 'AutoModelForCausalLM',
  SEQ_2_SEQ_LM: 'AutoModelForSeq2SeqLM',
  SEQ_CLS: 'AutoModelForSequenceClassification',
  TOKEN_CLS: 'AutoModelForTokenClassification',
  FEATURE_EXTRACTION: 'AutoModel',
};

const isChatModel = ({ peft }: Version) => peft.task_type === 'CAUSAL_LM';
const generatesText = (version: Version) => isChatModel(version) || version.peft.task_type === 'SEQ_2_SEQ_LM';

/** Code for each runtime that the API may list, by label. Some runtimes have several. */
const code: Record<string, Record<string, (input: CodeInput) => string>> = {
  Graft: { 'Graft (curl)': curl, 'Graft (Python)': openAiPython, 'Graft (TypeScript)': openAiNode },
  'HF PEFT': { 'HF PEFT': peft },
  adapters: { adapters: adaptersLibrary },
  vLLM: { vLLM: vllm },
  SGLang: { SGLang: sglang },
  TGI: { TGI: tgi },
  'llama.cpp (converted)': { 'llama.cpp (converted)': convertedToGguf },
};

/** Labels of the code for these runtimes. An unknown runtime gets the download command. */
export function codeNames({ runtimes, peft }: Pick<AdapterVersion, 'runtimes' | 'peft'>): string[] {
  return runtimes.flatMap((runtime) => {
    if (runtime === 'Graft' && !generatesText({ peft } as Version)) return [runtime];
    return Object.keys(code[runtime] ?? { [runtime]: download });
  });
}

export function codeFor(name: string, input: CodeInput): string {
  if (name === 'Graft') return score(input);
  const write = Object.values(code).find((forms) => name in forms)?.[name] ?? download;
  return `${write(input).trimEnd()}\n`;
}

function exampleMessages({ system_prompt: system }: Version) {
  const first = system === null ? [] : [{ role: 'system', content: system }];
  return [...first, { role: 'user', content: 'Hello!' }];
}

/** A request to an OpenAI-compatible server. */
const request = (
  url: string,
  model: string,
  version: Version,
  key = '',
) => `curl ${url}/v1/chat/completions \\
  ${key}-H "Content-Type: application/json" \\
  -d ${shellQuoted(JSON.stringify({ model, messages: exampleMessages(version) }))}`;

function curl({ version, origin }: CodeInput): string {
  return request(origin, version.model, version, '-H "Authorization: Bearer $GRAFT_API_KEY" ');
}

function openAiPython({ version, origin }: CodeInput): string {
  return `# pip install openai
import os
from openai import OpenAI

client = OpenAI(base_url="${origin}/v1", api_key=os.environ["GRAFT_API_KEY"])
answer = client.chat.completions.create(
    model=${JSON.stringify(version.model)},
    messages=[
${pythonMessages(version, '        ')}
    ],
)
print(answer.choices[0].message.content)`;
}

function openAiNode({ version, origin }: CodeInput): string {
  const messages = exampleMessages(version).map((message) => `    ${JSON.stringify(message)},`);
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

/** For tasks that do not generate text. */
const score = ({ version, origin }: CodeInput) => `# In Graft's folder, which has the scoring engine:
export GRAFT_BASE_URL=${origin}/v1
npx graft adapters download ${shellQuoted(version.model)} --output ${folder}
npx graft score --model ${version.base_model} --adapter ${folder} --input texts.jsonl --output scores.jsonl`;

function peft(input: CodeInput): string {
  const { version } = input;
  return `${inPython(input, 'peft transformers torch')}
from peft import PeftModel
from transformers import ${autoClass(version)}, AutoTokenizer

${pythonBase(input)}
tokenizer = AutoTokenizer.from_pretrained(base)
model = PeftModel.from_pretrained(${autoClass(version)}.from_pretrained(base${classes(version)}), "${folder}")
${generation(version)}`;
}

function adaptersLibrary(input: CodeInput): string {
  const { version } = input;
  return `${inPython(input, 'adapters torch')}
import adapters
from transformers import ${autoClass(version)}, AutoTokenizer

${pythonBase(input)}
tokenizer = AutoTokenizer.from_pretrained(base)
model = ${autoClass(version)}.from_pretrained(base${classes(version)})
adapters.init(model)
model.load_adapter("${folder}", use_safetensors=True, set_active=True)
${generation(version)}`;
}

function vllm(input: CodeInput): string {
  const { version } = input;
  return `${serving(input, 'pip install vllm')}
vllm serve ${base(input)} --port ${port} \\
  --enable-lora --max-lora-rank ${rankLimit(version)} --lora-modules ${version.adapter_name}=./${folder}

${whenReady(version, version.adapter_name)}`;
}

function sglang(input: CodeInput): string {
  const { version } = input;
  return `${serving(input, 'pip install "sglang[all]"')}
python -m sglang.launch_server --model-path ${base(input)} --port ${port} \\
  --enable-lora --lora-paths ${version.adapter_name}=./${folder}

${whenReady(version, `${base(input)}:${version.adapter_name}`)}`;
}

function tgi(input: CodeInput): string {
  const { version } = input;
  return `${serving(input, 'text-generation-launcher is part of Text Generation Inference and its container image.')}
text-generation-launcher --model-id ${base(input)} --port ${port} \\
  --lora-adapters ${version.adapter_name}="$PWD/${folder}"

${whenReady(version, version.adapter_name)}`;
}

function convertedToGguf(input: CodeInput): string {
  const { version, hub } = input;
  const system = version.system_prompt === null ? '' : ` -sys ${shellQuoted(version.system_prompt)}`;
  const files = hub
    ? `pip install huggingface_hub
hf download ${hub.id} --local-dir base-model`
    : `# base-model: the folder of ${version.base_model} in Hugging Face format.`;
  return `${download(input)}
${weightsNote(input)}${files}
git clone --depth 1 https://github.com/ggml-org/llama.cpp
pip install -r llama.cpp/requirements.txt
python llama.cpp/convert_hf_to_gguf.py base-model --outfile base-model.gguf
python llama.cpp/convert_lora_to_gguf.py ${folder} --base base-model --outfile ${folder}.gguf
llama-cli -m base-model.gguf --lora ${folder}.gguf${system} -p "Hello!"`;
}

function autoClass({ lineage, peft }: Version): string {
  const base = lineage.base_model as { transformers_class?: unknown } | undefined;
  const name = base?.transformers_class;
  return typeof name === 'string' ? name : (autoClasses[peft.task_type] ?? 'AutoModel');
}
/** The head needs the number of classes of training, which only the adapter's files have. */
const classes = ({ peft }: Version) =>
  ['SEQ_CLS', 'TOKEN_CLS'].includes(peft.task_type) ? ', num_labels=N' : '';

function download({ version, origin }: CodeInput): string {
  return `mkdir -p ${folder}
curl -f ${origin}${version.download_path} -H "Authorization: Bearer $GRAFT_API_KEY" | tar -xf - -C ${folder}`;
}

const inPython = (input: CodeInput, packages: string) =>
  [...download(input).split('\n'), `pip install ${packages}`].map((line) => `# ${line}`).join('\n');

/** The base model that other runtimes load: a Hub id or a folder. */
const base = ({ version, hub }: CodeInput) => hub?.id ?? `./${version.base_model.replaceAll('/', '-')}`;

const pythonBase = (input: CodeInput) =>
  `${weightsNote(input)}base = ${JSON.stringify(base(input))}  # ${input.hub ? 'fetched from the Hugging Face Hub' : 'the folder of the base model'}`;

const weightsNote = ({ hub }: CodeInput) =>
  hub?.quantization
    ? `# Graft trained on the ${hub.quantization} weights of this model. Answers with the Hub's full weights are nearly the same.\n`
    : '';

const serving = (input: CodeInput, install: string) =>
  `${download(input)}
# ${install}
${weightsNote(input)}${input.hub ? '' : `# ${base(input)}: the folder of the base model.\n`}`.trimEnd();

const whenReady = (version: Version, model: string) => `# In another terminal, when the server is ready:
${request(`http://127.0.0.1:${port}`, model, version)}`;

const pythonMessages = (version: Version, indent: string) =>
  exampleMessages(version)
    .map(({ role, content }) => `${indent}{"role": "${role}", "content": ${JSON.stringify(content)}},`)
    .join('\n');

function generation(version: Version): string {
  if (!generatesText(version)) return '';
  if (!isChatModel(version))
    return `inputs = tokenizer("Hello!", return_tensors="pt")
print(tokenizer.decode(model.generate(**inputs, max_new_tokens=100)[0], skip_special_tokens=True))`;
  return `messages = [
${pythonMessages(version, '    ')}
]
# For a base model without a chat template, use tokenizer("Hello!", return_tensors="pt") instead.
inputs = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=True, return_tensors="pt")
output = model.generate(**inputs, max_new_tokens=100)[0]
print(tokenizer.decode(output[inputs["input_ids"].shape[1]:], skip_special_tokens=True))`;
}

/** The smallest rank limit of vLLM that allows the adapter. */
function rankLimit({ peft }: Version): number {
  const { r } = peft as { r?: number };
  return [8, 16, 32, 64, 128, 256, 320, 512].find((limit) => limit >= (r ?? 0)) ?? 512;
}
