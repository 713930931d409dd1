"""Token ids, decoded text and rendered chats, by transformers.

usage: tokens.py PLAN.json

PLAN.json: {"model": a HF folder or GGUF file, "texts": [...], "chats": [[{"role", "content"}, ...], ...], "words": [[...], ...]}
Writes to standard output {"texts": [{"ids", "whole", "decoded"}], "chats": [{"text", "prompt", "ids"}], "words": [{"ids", "firsts"}]};
"prompt" is the chat with the assistant's turn opened, "ids" those of "text"; "firsts" is where each word begins in "ids"; "whole" has the tokens that the tokenizer puts around a text.
"""

import json
import sys

from reference import load_tokenizer, write_json

with open(sys.argv[1]) as source:
    plan = json.load(source)
tokenizer = load_tokenizer(plan["model"])


def encode(text):
    return tokenizer(text, add_special_tokens=False).input_ids


texts = [{"ids": encode(t), "whole": tokenizer(t).input_ids, "decoded": tokenizer.decode(encode(t), skip_special_tokens=True)} for t in plan["texts"]]
chats = []
for chat in plan["chats"]:
    text = tokenizer.apply_chat_template(chat, tokenize=False)
    prompt = tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
    chats.append({"text": text, "prompt": prompt, "ids": encode(text)})
words = []
for sequence in plan.get("words", []):
    encoded = tokenizer(sequence, is_split_into_words=True)
    owners = encoded.word_ids()
    words.append({"ids": encoded.input_ids, "firsts": [owners.index(i) for i in range(len(sequence))]})
write_json({"texts": texts, "chats": chats, "words": words})
