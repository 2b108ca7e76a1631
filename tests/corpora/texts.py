"""Texts that tokenizers get wrong, and random ones from a seed."""
import random

HAND = [
    "",
    " ",
    "a",
    "Hello, world!",
    "Hello  world   three    four",
    " leading and trailing ",
    "line one\nline two\n\nline four\n",
    "windows\r\nlines\r\n\r\nend",
    "\ttabs\tand \t mixed\t",
    "I'm you're he'll we've they'd it's DON'T I'M",
    "def f(x):\n    return x ** 2  # squared\n\n\nprint(f(3))\n",
    "for (int i = 0; i < 10; ++i) { a[i] += b[i] * 3.14159e-10; }",
    "2024-12-31 23:59:59 1234567890 1,000,000.00 3.14 0x1F",
    "٠١٢٣٤٥ १२३४ ²³¹ ½ Ⅷ",
    "你好，世界！今天天气怎么样？",
    "日本語のテキスト、カタカナ、ひらがな。",
    "한국어 텍스트입니다.",
    "مرحبا بالعالم",
    "नमस्ते दुनिया क्षत्रिय",
    "Привет, мир! Ёлка",
    "Ελληνικά γράμματα",
    "😀😃 👩‍👩‍👧‍👦 🏳️‍🌈 👍🏽 🇫🇷",
    "e\u0301 é a\u0308 ä n\u0303 \u1100\u1161",
    "\u00a0non-breaking\u00a0space\u2003em\u200bzero",
    "\ufeffbom at start and \ufeff inside",
    "control \x00 \x01 \x1f \x7f \x85 chars",
    "\U0001d4d0\U0001d4d1 \U00020000 \U0010ffff \ufffd",
    "<|user|>hi<|end|>",
    "<|user|> spaced <|end|> <|end|>\n<|end|>",
    "<|user|><|user|><|end|>x<|en",
    "text<mask>text <mask> text  <mask>  end",
    "word in words, wordy word",
    "Extra EXTRA extra<extra>",
    "<s>start</s> <unk>",
    "!!!??? ... --- *** /// \\\\\\ $$$ ___",
    "a.b.c@d.e http://example.com/path?q=1&r=2#frag",
    "CamelCaseWords and snake_case_words XMLHttpRequest",
    "ALLCAPS lower MiXeD",
    "a" * 40,
    " " * 30,
    "\n" * 20,
    "ab" * 15,
    "\u4f60" * 20,
    "x \n y\n  z  \n",
    "   \n   \n",
    "naïve café Zürich œuvre ß ǅ",
    "“quotes” ‘single’ — dash – … •",
    "∑∫√∞≈≠ ← → ⇒ x² + y²",
    "\u2581lower\u2581one \u2581",
    "1 2 3 4 5 6 7 8 9 10 11 12 100 1000 10000",
    "{\"key\": [1, 2.5, null, true], \"s\": \"v\\n\"}",
    "<html><body class=\"a\">&nbsp;</body></html>",
    "The quick brown fox jumps over the lazy dog.",
    "the the the and and and of of of",
    "thé théâtre",
    "'s 't 're 'S 'T",
    "a'b'c",
    "\r\r\n\n\r",
    "tail space \n",
    "\u0300starts with a mark",
]


def rand_texts(count, seed=7):
    """Short random texts over blocks of assigned characters."""
    r = random.Random(seed)
    blocks = [(0x20, 0x7E)] * 6 + [(0xA1, 0x17F), (0x391, 0x3C9), (0x410, 0x44F), (0x5D0, 0x5EA), (0x905, 0x939)]
    blocks += [(0x3041, 0x3096), (0x4E00, 0x9FA5), (0xAC00, 0xD7A3), (0x1F600, 0x1F64F), (0x300, 0x30F), (0x9, 0xD)]
    texts = []
    for _ in range(count):
        text = ""
        for _ in range(r.randint(1, 8)):
            low, high = r.choice(blocks)
            text += "".join(chr(r.randint(low, high)) for _ in range(r.randint(1, 5)))
            text += r.choice(["", "", " ", "\n", "  ", "<|end|>"])
        texts.append(text)
    return texts


TRAIN = [
    "The quick brown fox jumps over the lazy dog and the other dogs in the street.",
    "She said that the weather would be better than the day before, and it was.",
    "def function(value):\n    return value + 1\n\nprint(function(2024))\n",
    "Numbers such as 1, 12, 123, 1000 and 2024 are written in the text.",
    "Il y a des élèves à l'école, où ils étudient le théâtre et la poésie.",
    "Die Straße führt über die Brücke zum Gebäude der Universität.",
    "你好，世界！今天天气很好，我们去公园吧。你们今天怎么样？",
    "Привет, мир! Как дела? Сегодня хорошая погода.",
    "I'm sure you're right, they'll see it's what we've done and don't you forget.",
    "    indented    text   with  spaces\n\n\nand lines\n",
] * 3
