"""Chats as transformers renders, tokenises and labels them; expected values of packages/peft-core/src/text and examples.

usage: chat_labels.py MODEL

MODEL is SmolLM2-135M-Instruct (a GGUF file or HF folder), for its tokenizer. Writes to packages/peft-core/src:
text/testdata/tiny-tokenizer.json     a small byte-level BPE tokenizer, trained here
text/testdata/encodings.json          texts that are hard to split, with the tiny tokenizer
chat/testdata/rendered-templates.json what transformers renders for Jinja features that templates use
examples/testdata/chat-labels.json    with the tiny tokenizer: templates of several families × conversations
examples/testdata/smollm2-labels.json the same with SmolLM2's own tokenizer and template

Format what it wrote with `npx biome check --write packages/peft-core/src/{text,examples}/testdata`.

Labels are transformers' assistant masks: the templates are given `{% generation %}` marks around what an assistant says,
its end-of-turn token included. The marks are left out of what is written.
"""

import json
import pathlib
import re
import sys

sys.path.append(str(pathlib.Path(__file__).parents[1] / "references"))
from reference import load_tokenizer
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

OUT = pathlib.Path(__file__).parents[3] / "packages/peft-core/src"

SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<s>", "</s>", "<|head|>", "<|/head|>", "<|eot|>"]
CORPUS = [
    "The courier left a bent wheel at the door; the mechanic trued it before noon and rang the customer.",
    "user assistant system: which tyre fits a 622 rim? A 28 or a 32 millimetre tyre does, at 5 bar.",
    "Ça coûte 12,50 €. Größe M ist ausverkauft. 自転車 🚲 велосипед",
    "  two spaces,\n\nblank lines\n and \t tabs\n",
]

# G and /G become {% generation %} and {% endgeneration %} for transformers, and nothing for the file.
SMOLLM2 = (
    "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system\n"
    "You are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n' }}{% endif %}"
    "{{'<|im_start|>' + message['role'] + '\n'}}{% if message['role'] == 'assistant' and message['weight'] != 0 %}"
    "[G]{{ message['content'] + '<|im_end|>' }}[/G]{% else %}{{ message['content'] + '<|im_end|>' }}{% endif %}{{ '\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}\n"
)
HEADERS = """\
{%- set ns = namespace(start=bos_token) -%}
{%- for message in messages %}
    {%- set header = '<|head|>' + message.role + '<|/head|>\n\n' %}
    {{- ns.start + header }}
    {%- set ns.start = '' %}
    {%- if message.role == 'assistant' and message['weight'] != 0 %}
        {%- generation %}{{- message.content | trim + '<|eot|>' }}{%- endgeneration %}
    {%- else %}
        {{- message.content | trim + '<|eot|>' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|head|>assistant<|/head|>\n\n' }}
{%- endif %}
"""
INST = (
    "{{ bos_token }}{% for message in messages %}{% if message['role'] == 'user' %}{{ '[INST] ' + message['content'] + ' [/INST]' }}"
    "{% elif message['role'] == 'assistant' %}{% if message['weight'] != 0 %}[G]{{ ' ' + message['content'] + eos_token }}[/G]"
    "{% else %}{{ ' ' + message['content'] + eos_token }}{% endif %}"
    "{% else %}{{ '<<SYS>>' + message['content'] + '<</SYS>>\n' }}{% endif %}{% endfor %}"
)
# No end-of-turn token at all: nothing but the words can be learnt.
BARE = (
    "{% for message in messages %}{% if message['role'] == 'assistant' %}Answer:{% if message['weight'] != 0 %}"
    "[G]{{ ' ' + message['content'] }}[/G]{% else %}{{ ' ' + message['content'] }}{% endif %}{{ '\n' }}{% else %}"
    "{{ 'Question: ' + message['content'] + '\n' }}{% endif %}{% endfor %}{% if add_generation_prompt %}Answer:{% endif %}"
)
TEMPLATES = {"smollm2": SMOLLM2, "headers": HEADERS, "inst": INST, "bare": BARE}


def user(content):
    return {"role": "user", "content": content}


def assistant(content, **more):
    return {"role": "assistant", "content": content, **more}


CHATS = [
    [user("Which tyre fits?"), assistant("A 32.")],
    [{"role": "system", "content": "Answer in one word."}, user("Größe?"), assistant("M")],
    [user("12,50 €?"), assistant("Ja 🚲."), user("自転車"), assistant("велосипед, 2 of 10")],
    [user("first"), assistant("not this", weight=0), user("second"), assistant("this", weight=1)],
    [user(""), assistant("assistant")],
    [user("lines\n\n"), assistant("one\n\ntwo"), user("more"), assistant("user")],
    [user("open question"), assistant("answer"), user("and a last word of the user")],
    [user("the same"), assistant("same"), user("the same"), assistant("same")],
]

# Numbers and spaces that JavaScript's \\d and \\s and Python's or Oniguruma's do not agree on among them.
TEXTS = [
    "A bent wheel, 32 mm  and 10  spokes",
    "\u00bd \u216b \u0663 x\u00b2 12\u00bd34",
    "a\ufeffb \ufeff c\u0085d \u0085\u0085 e",
    "a\u00a0b \u3000 c\u2003\u2003d\u200be\u2028f",
    "we'll don't I'M it's'",
    "  leading,  inner   and trailing   ",
    "tabs\t\tand\n\nlines\r\n \n x",
    "\U0001f469\u200d\U0001f527 e\u0301 \u0000 \ufffd!",
    " <|im_end|> <think> <s>",
]

PLAIN_CHAT = [{"role": "system", "content": " Be kind. "}, user("Hi <b>\"you\"</b> & é"), assistant("Hello\nthere"), user("Bye")]
RENDERED = [
    "{{ messages | tojson }}",
    "{{ messages[0] | tojson(indent=2) }}",
    "{% for m in messages %}\n  {% if m.role == 'user' %}\n{{ m.content }}\n  {% endif %}\n{% endfor %}\nend\n",
    "{# a comment #}\n{%- for m in messages[1:] -%}\n  [{{ m['role'] | upper }}: {{ m.content | length }}]\n{%- endfor %}",
    "{% set ns = namespace(n=0) %}{% for m in messages %}{% if m.role == 'user' %}{% set ns.n = ns.n + 1 %}{% endif %}{% endfor %}{{ ns.n }}",
    "{% for m in messages %}{% if loop.index0 == 2 %}{% break %}{% endif %}{{ m.content.strip() }}|{% endfor %}",
    "{% for m in messages %}{% if m.role == 'system' %}{% continue %}{% endif %}{{ loop.index }}{{ '.' if not loop.last else '!' }}{% endfor %}",
    "{% macro show(m) %}<{{ m.role }}>{{ m.content | trim }}{% endmacro %}{{ show(messages[0]) }}{{ show(messages[-1]) }}",
    "{{ bos_token }}{{ (messages | selectattr('role', 'equalto', 'user') | list) | length }}{{ 'none' if tools is none }}{{ 'x' if nothing is defined }}",
    "{{ messages[2].content.split('\\n')[0] }}{{ messages[1]['content'].replace('<b>', '') }}{{ 'x' ~ 1 ~ 2.5 }}",
    "{% if messages[0].role == 'system' %}{{ '\\n' + messages[0].content + '\\n' }}{% set messages = messages[1:] %}{% endif %}{{ messages | length }}",
    "{% for m in messages if m.role != 'system' %}{{ m.role[0] }}{% else %}none{% endfor %}{{ messages | map(attribute='role') | join(', ') }}",
    "\n \n{% for i in range(3) %}{{ i }}{% endfor %}{% for i in range(7, 0, -3) %}{{ i }}{% endfor %}{{ range(2, 4) | list | join('-') }}",
    "{% if add_generation_prompt is defined and not add_generation_prompt %}no prompt{% endif %}\n\n",
]


def generation_marks(template):
    return template.replace("[G]", "{% generation %}").replace("[/G]", "{% endgeneration %}")


def without_marks(template):
    return re.sub(r"\[/?G\]|\{%-? (?:end)?generation %\}", "", template)


def tiny_tokenizer():
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=480,
        special_tokens=SPECIAL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(CORPUS * 3, trainer)
    tokenizer.add_tokens([AddedToken("<think>", special=False)])
    return tokenizer


def labelled(tokenizer, template, chat):
    encoded = tokenizer.apply_chat_template(
        chat, chat_template=generation_marks(template), return_dict=True, return_assistant_tokens_mask=True
    )
    return {
        "messages": chat,
        "text": tokenizer.apply_chat_template(chat, chat_template=generation_marks(template), tokenize=False),
        "prompt": tokenizer.apply_chat_template(
            chat[:-1], chat_template=generation_marks(template), tokenize=False, add_generation_prompt=True
        ),
        "ids": encoded["input_ids"],
        "mask": encoded["assistant_masks"],
    }


def write(name, value):
    value = {"script": "scripts/golden/testdata/chat_labels.py", **value}
    (OUT / name).write_text(json.dumps(value, ensure_ascii=False, separators=(",", ":")) + "\n")


def main():
    tokenizer = tiny_tokenizer()
    (OUT / "text/testdata/tiny-tokenizer.json").write_text(
        json.dumps(json.loads(tokenizer.to_str()), ensure_ascii=False, separators=(",", ":")) + "\n"
    )
    tokens = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<|endoftext|>", "pad_token": "<|endoftext|>"}
    tiny = PreTrainedTokenizerFast(tokenizer_object=tokenizer, **tokens)
    cases = [
        {"template": name, **labelled(tiny, template, chat)} for name, template in TEMPLATES.items() for chat in CHATS
    ]
    templates = {name: without_marks(template) for name, template in TEMPLATES.items()}
    write("examples/testdata/chat-labels.json", {"tokens": tokens, "templates": templates, "cases": cases})
    rendered = [
        {"template": t, "text": tiny.apply_chat_template(PLAIN_CHAT, chat_template=t, tokenize=False)} for t in RENDERED
    ]
    write("chat/testdata/rendered-templates.json", {"tokens": tokens, "messages": PLAIN_CHAT, "cases": rendered})
    write("text/testdata/encodings.json", {"cases": [{"text": text, "ids": tiny(text).input_ids} for text in TEXTS]})
    smollm2 = load_tokenizer(sys.argv[1])
    write("examples/testdata/smollm2-labels.json", {"cases": [labelled(smollm2, SMOLLM2, chat) for chat in CHATS]})
    for case in json.loads((OUT / "examples/testdata/smollm2-labels.json").read_text())["cases"]:
        plain = [{"role": m["role"], "content": m["content"]} for m in case["messages"]]
        assert smollm2.apply_chat_template(plain, tokenize=False) == case["text"], "SMOLLM2 is not the model's template"


if __name__ == "__main__":
    main()
