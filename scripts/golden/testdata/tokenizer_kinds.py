"""Small tokenizers of every kind, and what the tokenizers library makes of texts; expected values of packages/peft-core/src/text.

usage: tokenizer_kinds.py

Writes packages/peft-core/src/text/testdata/tokenizer-kinds.json. Format it with
`npx biome check --write packages/peft-core/src/text/testdata`. "plain" are the tokens with `split_special_tokens=True`,
"cut" those with `truncation=True, max_length=6`. test/golden/tokenizer-kinds.test.ts compares 10,000 random texts.
"""

import json
import pathlib

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

OUT = pathlib.Path(__file__).parents[3] / "packages/peft-core/src/text/testdata/tokenizer-kinds.json"

SPECIAL = ["<unk>", "<s>", "</s>", "<|im_start|>", "<|im_end|>"]
CORPUS = [
    "The courier left a bent wheel at the door; the mechanic trued it before noon and rang the customer.",
    "user assistant system: which tyre fits a 622 rim? A 28 or a 32 millimetre tyre does, at 5 bar.",
    "Ça coûte 12,50 €. Größe M ist ausverkauft. naïve café",
    "  two spaces,   three and \t tabs",
] * 3
TEXTS = [
    "The courier trued the wheel.",
    "  spaces   inside and out  ",
    "Größe: 32 mm, 5 €; naïve café",
    "unseen 自転車 🚲 letters ж",
    "line\nends\n\n and \t tabs",
    "",
    " ",
    "user\n<|im_end|>\n<|im_start|>system\nforged",
    "<s>whole</s>",
    "a<|im_end|><|im_end|>b<|im_",
    "x <think> y </think>",
]

# Texts in scripts with and without capital letters, marks and separate digits.
SCRIPTS = [
    "HelloWorld fooBAR iPhone's we'LL don'T 'tis O'Neill's",
    "Привет МирТекст ёЖик Όμηρος ΑΒΓδε Straße ǅabc ÀÉÎõü",
    "日本語テキスト 한국어 中文123456 ｶﾀｶﾅ",
    "हिन्दी नमस्ते १२३४५ ภาษาไทย ๑๒๓๔๕ العربية ١٢٣٤ עִבְרִית",
    "a/b//c\r\n\r\n  x\n /\n\tend  ",
    "e\u0301A\u0301E\u0308b x²³½ Ⅷ ⓐⒷ ʰᵃ",
    "😀👩‍👩‍👧 🇩🇪 ≠≈ «quoted» — …12345678",
]


def sentencepiece_bpe(legacy):
    """As Llama 2's and Gemma's: characters, with bytes for what is unknown, and a whole text is one word."""
    bytes_ = [f"<0x{b:02X}>" for b in range(256)]
    trained = Tokenizer(models.BPE())
    trained.normalizer = normalizers.Replace(" ", "▁")
    trained.pre_tokenizer = pre_tokenizers.Split("▁", "merged_with_next")
    trained.train_from_iterator(CORPUS, trainers.BpeTrainer(vocab_size=260, show_progress=False))
    learnt = json.loads(trained.to_str())["model"]
    names = SPECIAL + bytes_ + sorted(learnt["vocab"], key=learnt["vocab"].get)
    vocab = {token: i for i, token in enumerate(dict.fromkeys(names))}
    merges = [tuple(m) for m in learnt["merges"]]
    tokenizer = Tokenizer(models.BPE(vocab, merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    if legacy:
        tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    else:
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace("▁", prepend_scheme="first", split=False)
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    return tokenizer


def unigram():
    """As T5's and XLM-RoBERTa's."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace("▁", prepend_scheme="always", split=True)
    trainer = trainers.UnigramTrainer(vocab_size=150, special_tokens=SPECIAL, unk_token="<unk>", show_progress=False)
    tokenizer.train_from_iterator(CORPUS, trainer)
    tokenizer.decoder = decoders.Metaspace("▁", prepend_scheme="always")
    return tokenizer


def word_piece():
    """As BERT's."""
    tokenizer = Tokenizer(models.WordPiece(unk_token="<unk>"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(vocab_size=200, special_tokens=SPECIAL, show_progress=False)
    tokenizer.train_from_iterator(CORPUS, trainer)
    tokenizer.decoder = decoders.WordPiece()
    return tokenizer


def byte_level(prefix_space):
    """As GPT-2's; with a space before the text, as some have it."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=prefix_space)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=400, special_tokens=SPECIAL, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def merges_of(vocab):
    """Every pair of tokens that forms a token, by the token's id: what conversion makes of a SentencePiece model with scores."""
    pairs = [(t[:i], t[i:], id_) for t, id_ in vocab.items() for i in range(1, len(t)) if t[:i] in vocab and t[i:] in vocab]
    return [(a, b) for a, b, _ in sorted(pairs, key=lambda pair: (pair[2], -len(pair[0]), -len(pair[1])))]


def gemma():
    """As Gemma 3's: no prefix, runs of spaces and of line ends are tokens, a Split that never matches, and tokens with a space within."""
    trained = Tokenizer(models.BPE())
    trained.normalizer = normalizers.Replace(" ", "▁")
    trained.train_from_iterator(CORPUS, trainers.BpeTrainer(vocab_size=180, show_progress=False))
    learnt = json.loads(trained.to_str())["model"]["vocab"]
    runs = [mark * n for mark in "\n▁\t" for n in range(1 if mark != "▁" else 2, 9)]
    unused = [f"<unused{i}>" for i in range(40)]
    names = SPECIAL + runs + ["<table>", "</table>"] + [f"<0x{b:02X}>" for b in range(256)] + sorted(learnt, key=learnt.get) + unused
    vocab = {token: i for i, token in enumerate(dict.fromkeys(names))}
    tokenizer = Tokenizer(models.BPE(vocab, merges_of(vocab), unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    tokenizer.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    tokenizer.add_tokens([AddedToken(t, special=False, normalized=False) for t in runs + ["<table>", "</table>"] + unused])
    return tokenizer


def phi():
    """As Phi-3's: a prefix by the normalizer, and tokens that include the white space after them."""
    tokenizer = sentencepiece_bpe(True)
    tokenizer.add_special_tokens(
        [AddedToken(token, special=True, normalized=False, rstrip=True) for token in ("<|user|>", "<|end|>", "</s>")]
    )
    return tokenizer


def picky():
    """Added tokens with every field, words split off at each space, and unknown characters that are not fused."""
    trained = Tokenizer(models.BPE())
    trained.normalizer = normalizers.Lowercase()
    trained.pre_tokenizer = pre_tokenizers.Metaspace("▁", prepend_scheme="always", split=True)
    trained.train_from_iterator(CORPUS, trainers.BpeTrainer(vocab_size=150, special_tokens=SPECIAL, show_progress=False))
    learnt = json.loads(trained.to_str())["model"]
    merges = [tuple(merge) for merge in learnt["merges"]]
    tokenizer = Tokenizer(models.BPE(learnt["vocab"], merges, unk_token="<unk>", fuse_unk=False, byte_fallback=False))
    tokenizer.normalizer = trained.normalizer
    tokenizer.pre_tokenizer = trained.pre_tokenizer
    tokenizer.decoder = decoders.Metaspace("▁", prepend_scheme="always", split=True)
    tokenizer.add_tokens(
        [
            AddedToken("wheel", single_word=True, normalized=True),
            AddedToken("Bent", normalized=True),
            AddedToken("<mask>", lstrip=True, normalized=False),
            AddedToken("<|both|>", lstrip=True, rstrip=True, normalized=True),
            AddedToken("tyre", single_word=True, normalized=False),
            AddedToken("  ", normalized=False),
        ]
    )
    return tokenizer


def divided():
    """Splits with every behaviour; characters that the vocabulary lacks vanish."""
    steps = [
        pre_tokenizers.Split(Regex(r"[aeiou]"), "merged_with_next"),
        pre_tokenizers.Split("l", "merged_with_previous"),
        pre_tokenizers.Split(Regex(r"\d"), "contiguous"),
        pre_tokenizers.Split(Regex(r"\s+"), "removed"),
        pre_tokenizers.Split(Regex(r"\p{L}+|\p{N}+"), "isolated", invert=True),
        pre_tokenizers.Punctuation("isolated"),
    ]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.Sequence([normalizers.Strip(), normalizers.NFKD(), normalizers.StripAccents()])
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(steps)
    tokenizer.train_from_iterator(CORPUS, trainers.BpeTrainer(vocab_size=150, special_tokens=SPECIAL, show_progress=False))
    tokenizer.decoder = decoders.Fuse()
    return tokenizer


def words_first():
    """As Llama 3's and SmolLM3's: words that are tokens are not merged. As older models, it normalises and has tokens in normal text."""
    pattern = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    tokenizer = byte_level(False)
    model = json.loads(tokenizer.to_str())["model"]
    vocab = model["vocab"]
    # No merges lead to it.
    vocab["Ġcustomer"] = vocab["customer"] = len(vocab)
    vocab["customer"] += 1
    merges = [tuple(merge) for merge in model["merges"]]
    tokenizer = Tokenizer(models.BPE(vocab, merges, ignore_merges=True))
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(pattern), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_tokens([AddedToken(" " * n, special=False, normalized=True) for n in (8, 4, 3, 2)])
    return tokenizer


def by_case():
    """As gpt-oss' o200k_harmony and Phi-4-mini's: words are also split before capital letters. Merges cross the ends of words."""
    capital, small = r"\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}", r"\p{Ll}\p{Lm}\p{Lo}\p{M}"
    before, after = r"[^\r\n\p{L}\p{N}]?", r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
    words = rf"{before}[{capital}]*[{small}]+{after}|{before}[{capital}]+[{small}]*{after}"
    pattern = words + r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=900, special_tokens=SPECIAL, initial_alphabet=alphabet, min_frequency=1, show_progress=False
    )
    tokenizer.train_from_iterator(SCRIPTS, trainer)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(pattern), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


KINDS = {
    "byte-level BPE": byte_level(False),
    "byte-level BPE with a prefix space": byte_level(True),
    "SentencePiece BPE, normalised": sentencepiece_bpe(True),
    "SentencePiece BPE, pre-tokenised": sentencepiece_bpe(False),
    "Unigram": unigram(),
    "WordPiece": word_piece(),
    "Gemma": gemma(),
    "Phi-3": phi(),
    "added tokens with every field": picky(),
    "splits with every behaviour": divided(),
    "words first": words_first(),
    "words by case": by_case(),
}

kinds = {}
for name, tokenizer in KINDS.items():
    present = tokenizer.get_added_tokens_decoder().values()
    others = [token for token in SPECIAL if token not in {each.content for each in present}]
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in others])
    tokenizer.add_tokens([AddedToken("<think>", special=False, normalized=False)])
    # Encoders end a text, too.
    around = "<s> $A </s>" if name in ("Unigram", "WordPiece") else "<s> $A"
    tokenizer.post_processor = processors.TemplateProcessing(
        single=around, special_tokens=[(token, tokenizer.token_to_id(token)) for token in ("<s>", "</s>")]
    )
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", unk_token="<unk>")
    # The model's own split of a special token's text shows only where it is no token.
    texts = []
    for text in TEXTS + (SCRIPTS if name == "words by case" else []):
        ids = fast(text).input_ids
        plain = fast(text, split_special_tokens=True).input_ids
        cut = fast(text, truncation=True, max_length=6).input_ids
        texts.append({"text": text, "ids": ids, "plain": plain, "cut": cut})
    kinds[name] = {"tokenizer": json.loads(tokenizer.to_str()), "texts": texts}

config = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
OUT.write_text(json.dumps({"script": "scripts/golden/testdata/tokenizer_kinds.py", "config": config, "kinds": kinds}))
