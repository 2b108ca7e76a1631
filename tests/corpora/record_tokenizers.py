"""Records what Hugging Face's tokenizers say of the corpus, for small tokenizers trained here from a text of ours.

Run: python tests/corpora/record_tokenizers.py [SmolLM2.gguf]
Recorded with tokenizers 0.23.3 and gguf 0.19.0. Writes tokenizers/*.json beside itself; with a GGUF file also
smollm2.json, its tokenizer put together by hand as its family's tokenizer.json has it.
"""
import json
import pathlib
import sys

import tokenizers
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from texts import HAND, TRAIN, rand_texts

HERE = pathlib.Path(__file__).parent
TEXTS = HAND + rand_texts(28)
ENDINGS = "'s|'t|'re|'ve|'m|'ll|'d"
TAIL = r"\s*[\r\n]+|\s+(?!\S)|\s+"


def cl100k(digits):
    return rf"(?i:{ENDINGS})|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|{digits}| ?[^\s\p{{L}}\p{{N}}]+[\r\n]*|{TAIL}"


UP, LOW = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
O200K = (
    rf"[^\r\n\p{{L}}\p{{N}}]?{UP}*{LOW}+(?i:{ENDINGS})?|[^\r\n\p{{L}}\p{{N}}]?{UP}+{LOW}*(?i:{ENDINGS})?"
    rf"|\p{{N}}{{1,3}}| ?[^\s\p{{L}}\p{{N}}]+[\r\n/]*|{TAIL}"
)
DEEPSEEK = [
    r"\p{N}{1,3}",
    "[一-龥\u3040-\u309f\u30a0-\u30ff]+",
    r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+"""
    rf"| ?[\p{{P}}\p{{S}}]+[\r\n]*|{TAIL}",
]


def split(pattern, behavior="isolated"):
    return pre_tokenizers.Split(pattern if isinstance(pattern, str) and len(pattern) == 1 else Regex(pattern), behavior)


def byte_level(*before, use_regex=False):
    return pre_tokenizers.Sequence([*before, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=use_regex)])


def train_bytes(pre, normalizer=None, ignore_merges=False):
    tok = Tokenizer(models.BPE(ignore_merges=ignore_merges))
    tok.pre_tokenizer, tok.decoder = pre, decoders.ByteLevel()
    if normalizer:
        tok.normalizer = normalizer
    trainer = trainers.BpeTrainer(
        vocab_size=400, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    tok.train_from_iterator(TRAIN, trainer)
    return tok


def specials(tok):
    tok.add_special_tokens(["<|user|>", "<|end|>"])
    tok.add_tokens(
        [
            AddedToken("<mask>", lstrip=True, rstrip=True, normalized=False),
            AddedToken("word", single_word=True, normalized=False),
            AddedToken("<extra>", normalized=True),
        ]
    )
    return tok


def train_spm(normalizer, pre, decoder, unigram=False):
    byte_tokens = [f"<0x{b:02X}>" for b in range(256)]
    first = ["<unk>", "<s>", "</s>", *byte_tokens]
    if unigram:
        tok = Tokenizer(models.Unigram())
        trainer = trainers.UnigramTrainer(vocab_size=300, special_tokens=["<unk>", "<s>", "</s>"], unk_token="<unk>", show_progress=False)
    else:
        tok = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
        trainer = trainers.BpeTrainer(vocab_size=380, special_tokens=first, show_progress=False)
    if normalizer:
        tok.normalizer = normalizer
    # Trained on words; used with the model's own stage, which may be none.
    tok.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always", split=True)
    tok.train_from_iterator(TRAIN, trainer)
    shape = json.loads(tok.to_str())
    # Byte tokens belong to the vocabulary only.
    shape["added_tokens"] = [t for t in shape["added_tokens"] if not t["content"].startswith("<0x")]
    tok = Tokenizer.from_str(json.dumps(shape))
    if pre is None:
        shape["pre_tokenizer"] = None
        tok = Tokenizer.from_str(json.dumps(shape))
    else:
        tok.pre_tokenizer = pre
    tok.decoder = decoder
    return tok


def llama_decoder(strip=1):
    parts = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    return decoders.Sequence(parts + ([decoders.Strip(" ", strip, 0)] if strip else []))


def kinds():
    bos = lambda tok: processors.TemplateProcessing(
        single="<|user|> $A <|end|>",
        special_tokens=[("<|user|>", tok.token_to_id("<|user|>")), ("<|end|>", tok.token_to_id("<|end|>"))],
    )
    llama3 = specials(train_bytes(byte_level(split(cl100k(r"\p{N}{1,3}"))), ignore_merges=True))
    llama3.post_processor = processors.Sequence([processors.ByteLevel(trim_offsets=False), bos(llama3)])
    yield "llama3", llama3
    yield "qwen2", specials(train_bytes(byte_level(split(cl100k(r"\p{N}"))), normalizer=normalizers.NFC()))
    yield "gpt2", specials(train_bytes(byte_level(use_regex=True)))
    yield "smollm", specials(train_bytes(byte_level(pre_tokenizers.Digits(individual_digits=True), use_regex=True)))
    yield "o200k", specials(train_bytes(byte_level(split(O200K))))
    yield "deepseek", specials(train_bytes(byte_level(*[split(p) for p in DEEPSEEK])))
    yield "merged", specials(train_bytes(byte_level(split(" ", "merged_with_next"), split(r"[.,]+", "merged_with_previous"), split(r"\d", "contiguous"))))
    prepend = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    yield "llama2", specials(train_spm(prepend, None, llama_decoder()))
    yield "mistral", specials(
        train_spm(None, pre_tokenizers.Metaspace(prepend_scheme="first", split=False), llama_decoder())
    )
    yield "metaspace", specials(
        train_spm(None, pre_tokenizers.Metaspace(prepend_scheme="always", split=True), decoders.Metaspace())
    )
    gemma = normalizers.Replace(" ", "▁")
    yield "gemma", specials(train_spm(gemma, split(" ", "merged_with_previous"), llama_decoder(0)))
    yield "unigram", specials(
        train_spm(None, pre_tokenizers.Metaspace(prepend_scheme="always", split=True), decoders.Metaspace(), unigram=True)
    )


def record(tok, name):
    cases = []
    for text in TEXTS:
        ids = tok.encode(text, add_special_tokens=False).ids
        decoded = tok.decode(ids, skip_special_tokens=True)
        case = {"ids": ids}
        if decoded != text:
            case["decoded"] = decoded
        around = tok.encode(text, add_special_tokens=True).ids
        if around != ids and len(cases) < 12:
            case["around"] = around
        cases.append(case)
    return cases


def write(path, data):
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(data, ensure_ascii=False, separators=(",", ":")) + "\n")
    print(path.name, path.stat().st_size)


def smollm2(path):
    import gguf

    fields = gguf.GGUFReader(path).fields
    get = lambda key: fields[f"tokenizer.ggml.{key}"].contents()
    tokens, types = get("tokens"), get("token_type")
    merges = [tuple(pair.split(" ")) for pair in get("merges")]
    tok = Tokenizer(models.BPE({t: i for i, t in enumerate(tokens)}, merges))
    tok.pre_tokenizer = byte_level(pre_tokenizers.Digits(individual_digits=True), use_regex=True)
    tok.decoder = decoders.ByteLevel()
    tok.add_special_tokens([AddedToken(t, normalized=False) for t, kind in zip(tokens, types) if kind == 3])
    texts = [t.replace("<|user|>", "<|im_start|>").replace("<|end|>", "<|im_end|>") for t in TEXTS]
    return [tok.encode(t).ids for t in texts]


if __name__ == "__main__":
    print("tokenizers", tokenizers.__version__)
    # Written once; the cases of each tokenizer follow this order.
    write(HERE / "texts.json", TEXTS)
    for name, tok in kinds():
        write(HERE / "tokenizers" / f"{name}.json", {"tokenizer": json.loads(tok.to_str()), "cases": record(tok, name)})
    if len(sys.argv) > 1:
        write(HERE / "smollm2.json", smollm2(sys.argv[1]))
