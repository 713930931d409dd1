"""Expected token ids of packages/peft-core/src/gguf/tokenizer.test.ts, by Hugging Face's tokenizers library on the
vocabulary of SmolLM2's GGUF file (cut as in the model's own tokenizer.json, see load_tokenizer). Where llama-cpp-python
is installed, every text is also held against llama.cpp, which reads the file by itself.

usage: gguf_tokenizer.py MODEL.gguf
Writes packages/peft-core/src/gguf/testdata/gguf-tokenizer.json.
"""

import json
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "references"))
from reference import load_tokenizer

OUT = Path(__file__).parents[3] / "packages/peft-core/src/gguf/testdata/gguf-tokenizer.json"

TEXTS = [
    "",
    "Hello world!",
    "The year 2024 had 366 days; pi is 3.14159, and 1,000,000 is 10^6.",
    "a  1 b   22 c\t333 d\n4444",
    "  leading and trailing  ",
    "I'm sure they'll say we've won; it's Dave's, isn't it? DON'T",
    "<|im_start|>user\nWhat is 2+2?<|im_end|>\n<|im_start|>assistant\n",
    "half <|im_sta rt|> and <|endoftext|><|endoftext|> <file_sep>x<empty_output>",
    "def f(x):\n    if x > 0:\n\treturn x**2  # square\n\n\n    return None\n",
    "for (let i = 0; i < n; i++) { sum += a[i] ?? 0; }\r\n\r\n",
    "🙂👩‍👩‍👧‍👦🇫🇷 naïve café Ünïcödé 😀😀",
    "日本語のテキスト、中文文本。한국어 텍스트 עברית العربية हिन्दी ไทย",
    "½ ⅔ Ⅻ ² ① ٣٤٥ १२३ 一二三 𝟘𝟙",
    "no\u00a0break\u2003em\u2009thin\u202fnarrow\u3000ideographic\u200bzero\u2028line\u2029para",
    "tab\tvt\u000bff\u000ccr\rnel\u0085bom\ufeffend \u0085 \ufeff x",
    "e\u0301 vs \u00e9, \u1112\u1161\u11ab vs \ud55c, \ufb01 ligature",
    "https://example.com/a?b=c&d=%20#frag user.name+tag@example.co.uk",
    '{"key": [1, 2.5, -3e10, null, true], "s": "\\n\\u00e9"}',
    "| a | b |\n| --- | --- |\n| 1 | 2 |\n\n> quote\n* item\n\n```js\nx\n```",
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    "     \n     \n\n\n   \t  \n x",
    "\u0000\u0001\u001f\u007f\u0080\u00ff",
    "∑∫√≈≠∞ → ⇒ €£¥ “quotes” ‘single’ — – … «»",
    "l'été d'Œuvre O'Reilly 'S 'T 're 'RE ''''",
]


def main() -> None:
    tokenizer = load_tokenizer(sys.argv[1])
    cases = [{"text": text, "ids": tokenizer(text, add_special_tokens=False).input_ids} for text in TEXTS]
    compare_with_llama_cpp(sys.argv[1], cases)
    lines = ",\n".join(f"  {json.dumps(case)}" for case in cases)
    OUT.write_text(f"[\n{lines}\n]\n")


def compare_with_llama_cpp(path: str, cases: list) -> None:
    try:
        from llama_cpp import Llama
    except ImportError:
        print("llama-cpp-python is not installed: not compared with it")
        return
    model = Llama(model_path=path, vocab_only=True, verbose=False)
    for case in cases:
        ids = model.tokenize(case["text"].encode(), add_bos=False, special=True)
        if ids != case["ids"]:
            print(f"llama.cpp differs on {case['text']!r}: {ids} instead of {case['ids']}")


if __name__ == "__main__":
    main()
