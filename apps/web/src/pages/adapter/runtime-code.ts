import type { AdapterVersion } from '@graft/client';

type Version = Pick<AdapterVersion, 'model' | 'adapter_name' | 'base_model' | 'download_path' | 'peft'>;

/** Where the files lie in the code. */
const folder = 'my-adapter';

/** Of transformers, by the task that an adapter was trained for. */
const autoClasses: Record<string, string> = {
  CAUSAL_LM: 'AutoModelForCausalLM',
  SEQ_2_SEQ_LM: 'AutoModelForSeq2SeqLM',
  SEQ_CLS: 'AutoModelForSequenceClassification',
  TOKEN_CLS: 'AutoModelForTokenClassification',
  FEATURE_EXTRACTION: 'AutoModel',
};

const writesText = ({ peft }: Version) => ['CAUSAL_LM', 'SEQ_2_SEQ_LM'].includes(peft.task_type);

/** How a version is used in each runtime that the API may name; `origin` is this server's. */
const code: Record<string, (version: Version, origin: string) => string> = {
  Graft: (version, origin) =>
    writesText(version)
      ? `curl ${origin}/v1/chat/completions \\
  -H "Authorization: Bearer $GRAFT_API_KEY" -H "Content-Type: application/json" \\
  -d '${JSON.stringify({ model: version.model, messages: [{ role: 'user', content: 'Hello!' }] })}'`
      : `${download(version)}
graft score --model ${version.base_model} --adapter ${folder} --input texts.jsonl --output scores.jsonl`,

  'HF PEFT': (version, origin) => `${python(version, origin, 'peft transformers')}
from peft import PeftModel
from transformers import ${autoClass(version)}, AutoTokenizer

base = ${JSON.stringify(version.base_model)}  # its Hub id, or a folder
tokenizer = AutoTokenizer.from_pretrained(base)
model = PeftModel.from_pretrained(${autoClass(version)}.from_pretrained(base${classes(version)}), "${folder}")
${generation(version)}`,

  adapters: (version, origin) => `${python(version, origin, 'adapters')}
import adapters
from transformers import ${autoClass(version)}, AutoTokenizer

base = ${JSON.stringify(version.base_model)}  # its Hub id, or a folder
tokenizer = AutoTokenizer.from_pretrained(base)
model = ${autoClass(version)}.from_pretrained(base${classes(version)})
adapters.init(model)
model.load_adapter("${folder}", use_safetensors=True, set_active=True)
${generation(version)}`,

  vLLM: (version, origin) => `${fetching(version, origin)}
# BASE: the Hub id or folder of ${version.base_model}. Requests name "${version.adapter_name}" as their model.
vllm serve BASE --enable-lora --max-lora-rank ${rankLimit(version)} \\
  --lora-modules ${version.adapter_name}=./${folder}`,

  SGLang: (version, origin) => `${fetching(version, origin)}
# BASE: the Hub id or folder of ${version.base_model}. Requests name "${version.adapter_name}" as their lora_path.
python -m sglang.launch_server --model-path BASE \\
  --lora-paths ${version.adapter_name}=./${folder}`,

  TGI: (version, origin) => `${fetching(version, origin)}
# BASE: the Hub id or folder of ${version.base_model}. Requests name "${version.adapter_name}" as their adapter_id.
text-generation-launcher --model-id BASE \\
  --lora-adapters ${version.adapter_name}=./${folder}`,

  'llama.cpp (converted)': (version, origin) => `${fetching(version, origin)}
# BASE: the folder of ${version.base_model} as Hugging Face has it; BASE.gguf: the same model converted.
python convert_lora_to_gguf.py ./${folder} --base BASE --outfile ${folder}.gguf
llama-cli -m BASE.gguf --lora ${folder}.gguf`,
};

/** Code to copy; of a runtime that this page does not know, how to get the files. */
export function codeFor(runtime: string, version: Version, origin: string): string {
  const write = code[runtime] ?? ((version) => fetching(version, origin));
  return write(version, origin).trimEnd();
}

const autoClass = ({ peft }: Version) => autoClasses[peft.task_type] ?? 'AutoModel';
/** The head must have as many classes as it was trained with, which the files tell and the base model does not. */
const classes = ({ peft }: Version) =>
  ['SEQ_CLS', 'TOKEN_CLS'].includes(peft.task_type) ? ', num_labels=N' : '';

const download = ({ model }: Version) => `graft adapters download ${model} --output ${folder}`;

const fetching = ({ download_path }: Version, origin: string) => `mkdir -p ${folder}
curl ${origin}${download_path} -H "Authorization: Bearer $GRAFT_API_KEY" | tar -x -C ${folder}
`;

const python = (version: Version, origin: string, packages: string) =>
  fetching(version, origin)
    .split('\n')
    .concat(`pip install ${packages}`)
    .filter(Boolean)
    .map((line) => `# ${line}`)
    .join('\n');

const generation = (version: Version) =>
  writesText(version)
    ? `inputs = tokenizer("Hello!", return_tensors="pt")
print(tokenizer.decode(model.generate(**inputs, max_new_tokens=100)[0], skip_special_tokens=True))`
    : '';

/** The next of the ranks that vLLM takes as a limit. */
function rankLimit({ peft }: Version): number {
  const { r } = peft as { r?: number };
  return [8, 16, 32, 64, 128, 256, 320, 512].find((limit) => limit >= (r ?? 0)) ?? 512;
}
