"""Token ids and decoded texts of random strings in many scripts, by Hugging Face's tokenizers library.

usage: random_texts.py PLAN.json

PLAN.json: {"tokenizers": [the file of a tokenizer.json, a GGUF file of Gemma, or {"file": a JSON file, "path": [keys that lead to a tokenizer]}, ...],
"count": of strings, "seed": of them, "words": [texts that strings also contain, such as special tokens]}
Writes to standard output a line {"texts": [...]}, then a line for each tokenizer: {"ids": [[...], ...], "ends": [[...], ...],
"plain": [[...], ...], "decoded": [...]}. "ends" has where the tokens end, in code points of the text; "plain" has the ids with special tokens as plain text; "decoded" keeps special tokens. None of the ids have the tokens
around a text.
"""

import json
import random
import sys

from tokenizers import AddedToken, Tokenizer

# Ranges of code points: letters, marks, digits, punctuation and symbols. The library's tables are of an earlier version of Unicode than
# JavaScript's, so ranges leave out characters that are newer.
SCRIPTS = {
    "ascii": [(0x20, 0x7E)],
    "latin": [(0x61, 0x7A), (0xC0, 0x24F), (0x1E00, 0x1EFF)],
    "greek": [(0x370, 0x3FF)],
    "cyrillic": [(0x400, 0x4FF)],
    "armenian": [(0x531, 0x556), (0x561, 0x587)],
    "hebrew": [(0x5B0, 0x5EA)],
    "arabic": [(0x620, 0x6FF)],
    "devanagari": [(0x900, 0x97F)],
    "bengali": [(0x980, 0x9FB)],
    "tamil": [(0xB80, 0xBFF)],
    "thai": [(0xE00, 0xE5B)],
    "tibetan": [(0xF00, 0xFBC)],
    "georgian": [(0x10A0, 0x10FF)],
    "ethiopic": [(0x1200, 0x137C)],
    "khmer": [(0x1780, 0x17E9)],
    "hangul": [(0xAC00, 0xD7A3), (0x1100, 0x11FF)],
    "kana": [(0x3041, 0x30FF)],
    "han": [(0x4E00, 0x9FFF)],
    "rare han": [(0x20000, 0x2A6DF)],
    "gothic": [(0x10330, 0x1034A)],
    "mathematical": [(0x1D400, 0x1D7FF), (0x2200, 0x22FF)],
    "fullwidth": [(0xFF01, 0xFFEE)],
}
EMOJI = ["🙂", "👩‍🔧", "🚲", "👩🏽‍🚀", "🇫🇷", "🏴‍☠️", "❤️", "1️⃣", "👨‍👩‍👧‍👦", "🫠"]
MARKS = "\u0300\u0301\u0308\u0327\u0361\u20dd\u0591\u064b\u093c\u0e31\u3099"
SPACES = [" ", "  ", "   ", " " * 7, "\n", "\n\n", "\t", "\t\t\t", "\r\n", "\u00a0", "\u3000", "\u2009", "\u200b", "\u2028", "\u0085", "\ufeff", "\u000b"]
CONTROLS = "\x00\x01\x07\x08\x0e\x1b\x1f\x7f\x80\x9f\u200d\u200e\u202e\u2060\ufffd\ue000"
ENGLISH = "the courier left a bent wheel at door mechanic trued it before noon and rang customer which tyre fits rim user assistant system".split()
ODD = ["▁", "▁▁", " ▁ ", "<0x41>", "<0xE2>", "##a", "Ġ", "don't", "I'm", "they'll", "'S", "12345", "3.14", "1,000", "٣٤٥", "½", "Ⅻ", "$1", "\\n", "...", "====", "----", "//", "{\"a\": [1, 2]}", "x**2", "https://example.com/a?b=c", "ﬁ", "ſ", "İ", "ΑΣ", "Straße"]


class Texts:
    def __init__(self, seed, words):
        self.random = random.Random(seed)
        self.words = words

    def some(self, ranges, count):
        pick = self.random
        return "".join(chr(pick.randint(*pick.choice(ranges))) for _ in range(count))

    def piece(self):
        pick = self.random
        kind = pick.random()
        if kind < 0.28:
            return pick.choice(ENGLISH)
        if kind < 0.50:
            return self.some(SCRIPTS[pick.choice(list(SCRIPTS))], pick.randint(1, 8))
        if kind < 0.72:
            return pick.choice(SPACES) if pick.random() < 0.3 else " "
        if kind < 0.77:
            return pick.choice(EMOJI) * pick.randint(1, 2)
        if kind < 0.82:
            return pick.choice("aeinou自é") + "".join(pick.choice(MARKS) for _ in range(pick.randint(1, 3)))
        if kind < 0.86:
            return pick.choice(CONTROLS)
        if kind < 0.93:
            return pick.choice(ODD)
        if kind < 0.98 and self.words:
            return pick.choice(self.words)
        # A long word, which repeats, or does not.
        return pick.choice("ab=-!.h") * pick.randint(20, 60) if pick.random() < 0.5 else self.some([(0x61, 0x7A)], pick.randint(20, 60))

    def text(self):
        return "".join(self.piece() for _ in range(self.random.choice([1, 2, 3, 5, 8, 13])))


def original_gemma(path):
    """
    The tokenizer.json that the model of a GGUF file had. transformers' own conversion of the file (5.24) differs from it: it does not find
    marks of spaces in the text, and merges them in another order.
    """
    from gguf import GGUFReader
    from transformers import GemmaTokenizer
    from transformers.tokenization_utils_base import generate_merges

    fields = GGUFReader(path).fields
    names, scores, types = (fields[f"tokenizer.ggml.{key}"].contents() for key in ("tokens", "scores", "token_type"))
    tokens = ["▁" * len(name) if set(name) == {" "} else name for name in names]
    vocab = {token: i for i, token in enumerate(tokens)}
    merges = generate_merges(vocab, {t: score if kind == 1 else 0.0 for t, score, kind in zip(tokens, scores, types)})
    tokenizer = GemmaTokenizer(vocab=vocab, merges=merges).backend_tokenizer
    for kind, add in ((3, tokenizer.add_special_tokens), (4, tokenizer.add_tokens)):
        add([AddedToken(t, normalized=False, special=kind == 3) for t, each in zip(tokens, types) if each == kind])
    return tokenizer


def load(place):
    if isinstance(place, str) and place.endswith(".gguf"):
        return original_gemma(place)
    if isinstance(place, str):
        return Tokenizer.from_file(place)
    with open(place["file"], encoding="utf-8") as source:
        found = json.load(source)
    for key in place["path"]:
        found = found[key]
    return Tokenizer.from_str(json.dumps(found))


def main():
    with open(sys.argv[1], encoding="utf-8") as source:
        plan = json.load(source)
    texts = Texts(plan["seed"], plan["words"])
    strings = [texts.text() for _ in range(plan["count"])]
    print(json.dumps({"texts": strings}))
    for place in plan["tokenizers"]:
        tokenizer = load(place)
        encodings = tokenizer.encode_batch(strings, add_special_tokens=False)
        ids = [each.ids for each in encodings]
        ends = [[end for _, end in each.offsets] for each in encodings]
        decoded = tokenizer.decode_batch(ids, skip_special_tokens=False)
        tokenizer.encode_special_tokens = True
        plain = [each.ids for each in tokenizer.encode_batch(strings, add_special_tokens=False)]
        print(json.dumps({"ids": ids, "ends": ends, "plain": plain, "decoded": decoded}))


main()
