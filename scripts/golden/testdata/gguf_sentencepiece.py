"""SentencePiece vocabularies as GGUF files have them, and the tokens of the original tokenizers; expected values of
packages/peft-core/src/gguf/sentencepiece.test.ts.

usage: gguf_sentencepiece.py

The tokenizers are as transformers converts SentencePiece models: merges from the scores (generate_merges, where tokens of other types
than normal have a score of 0), and the normalizer of Llama 2's and Gemma's tokenizer.json. The metadata is as llama.cpp's converter
writes it: runs of spaces within user-defined tokens, and a score of -1000 for all that are not normal.
Writes packages/peft-core/src/gguf/testdata/gguf-sentencepiece.json.
"""

import json
import sys
from pathlib import Path

from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, trainers
from transformers.tokenization_utils_base import generate_merges

sys.path.append(str(Path(__file__).parent))
from gguf_tokenizer import TEXTS

OUT = Path(__file__).parents[3] / "packages/peft-core/src/gguf/testdata/gguf-sentencepiece.json"
NORMAL, UNKNOWN, CONTROL, USER_DEFINED, BYTE = 1, 2, 3, 4, 6
MORE = ["=" * n for n in (5, 17, 40)] + [" " * n + "x" + "\n" * n for n in (1, 2, 3, 7, 8, 9, 30)]
MORE += [" <s> a </s>b<s>", "▁▁ <0x41> literal", "the the  the", "<start> user\n hello<start>", "\t\t a"]


def learnt(corpus, size):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    tokenizer.train_from_iterator(corpus, trainers.BpeTrainer(vocab_size=size, show_progress=False))
    vocab = tokenizer.get_vocab()
    return sorted(vocab, key=vocab.get)


def case(prefix):
    special = [("<unk>", UNKNOWN if prefix else CONTROL), ("<s>", CONTROL), ("</s>", CONTROL), ("<start>", CONTROL)]
    runs = [] if prefix else ["\n" * n for n in range(1, 6)] + ["▁" * n for n in range(2, 9)] + ["\t", "\t\t", "<b>"]
    pieces = special + [(run, USER_DEFINED) for run in runs] + [(f"<0x{b:02X}>", BYTE) for b in range(256)]
    known = {token for token, _ in pieces}
    # A token of repeated characters can be made by several merges.
    normal = [t for t in learnt(TEXTS + ["the courier left a bent wheel"] * 8, 420) if t not in known]
    normal += [t for t in ("==", "===", "====", "▁▁", "▁▁▁") if t not in known and t not in normal]
    pieces += [(token, NORMAL) for token in normal]
    vocab = {token: i for i, (token, _) in enumerate(pieces)}
    first = len(pieces) - len(normal)
    scores = {token: -float(i - first) if i >= first else 0.0 for token, i in vocab.items()}
    tokenizer = Tokenizer(models.BPE(vocab, generate_merges(vocab, scores), unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    replace = normalizers.Replace(" ", "▁")
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), replace]) if prefix else replace
    steps = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    tokenizer.decoder = decoders.Sequence(steps + ([decoders.Strip(" ", 1, 0)] if prefix else []))
    tokenizer.add_special_tokens([AddedToken(t, special=True, normalized=False) for t, kind in pieces if kind in (UNKNOWN, CONTROL)])
    tokenizer.add_tokens([AddedToken(t, special=False, normalized=False) for t, kind in pieces if kind == USER_DEFINED])
    texts = []
    for text in TEXTS + MORE:
        # llama.cpp and Graft find no unknown token in a text.
        if "<unk>" in text:
            continue
        ids = tokenizer.encode(text, add_special_tokens=False).ids
        texts.append({"text": text, "ids": ids, "decoded": tokenizer.decode(ids, skip_special_tokens=False)})
    return {
        "metadata": {
            "tokenizer.ggml.model": "llama",
            "tokenizer.ggml.tokens": [t.replace("▁", " ") if kind == USER_DEFINED else t for t, kind in pieces],
            "tokenizer.ggml.scores": [scores[t] if kind == NORMAL else -1000.0 for t, kind in pieces],
            "tokenizer.ggml.token_type": [kind for _, kind in pieces],
            "tokenizer.ggml.bos_token_id": 1,
            "tokenizer.ggml.eos_token_id": 2,
            "tokenizer.ggml.unknown_token_id": 0,
            **({} if prefix else {"tokenizer.ggml.add_space_prefix": False, "tokenizer.ggml.add_bos_token": True}),
        },
        "merges": generate_merges(vocab, scores),
        "texts": texts,
    }


if __name__ == "__main__":
    cases = {"as Llama 2": case(prefix=True), "as Gemma 3": case(prefix=False)}
    OUT.write_text(json.dumps({"script": "scripts/golden/testdata/gguf_sentencepiece.py", "cases": cases}))
