#!/usr/bin/env python3
"""prepare.py OUTDIR [--packages NAME ...] [--text DIR ...] [--vocab 4096] [--megabytes 18]: what train.py and evaluate.py read.

Downloads documentation packages of Debian (`apt-get download`, nothing is installed), takes their plain text (.txt, .rst, .pod,
also gzipped), trains a byte-level BPE on it and writes OUTDIR/tokens.npz: all documents as tokens, one document in twenty held out
whole. With --text the files below DIR are taken instead. Needs `pip install numpy tokenizers`, and the network only for packages."""

import argparse
import gzip
import hashlib
import pathlib
import re
import subprocess
import sys
import tempfile

import numpy as np

PACKAGES = ["linux-doc-6.1", "python3.11-doc", "perl-doc", "git-doc"]
TEXT = re.compile(r"\.(txt|rst|pod)(\.gz)?$")
# Token 0 begins a document, 1 marks a needle, 2 parts its key from its value (needles.py); 3 is spare.
SPECIAL = ["<document>", "<needle>", "<is>", "<spare>"]
HELD_OUT = 20


def unpack(packages, into):
    """Downloads the packages and unpacks them below `into`."""
    subprocess.run(["apt-get", "download", *packages], cwd=into, check=True, stdout=subprocess.DEVNULL)
    for package in sorted(pathlib.Path(into).glob("*.deb")):
        subprocess.run(["dpkg", "-x", str(package), str(into)], check=True)


def documents(roots):
    """The texts below the roots, each once, in an order that depends on their bytes alone."""
    found = {}
    for root in roots:
        for path in sorted(pathlib.Path(root).rglob("*")):
            if not TEXT.search(path.name) or not path.is_file() or path.is_symlink():
                continue
            data = path.read_bytes()
            try:
                text = (gzip.decompress(data) if path.suffix == ".gz" else data).decode()
            except (UnicodeDecodeError, OSError):
                continue
            if len(text) >= 500:
                found[hashlib.sha256(text.encode()).digest()] = text
    return [found[key] for key in sorted(found)]


def planes(tokens):
    """uint16 as two arrays of bytes, which compress better apart."""
    return {"low": (tokens & 255).astype(np.uint8), "high": (tokens >> 8).astype(np.uint8)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--packages", nargs="+", default=PACKAGES)
    parser.add_argument("--text", nargs="+", type=pathlib.Path)
    parser.add_argument("--vocab", type=int, default=4096)
    parser.add_argument("--megabytes", type=float, default=18, help="the file at most, in millions of bytes")
    options = parser.parse_args()
    try:
        from tokenizers import ByteLevelBPETokenizer
    except ImportError:
        sys.exit("prepare.py: the package tokenizers is missing: pip install tokenizers")
    with tempfile.TemporaryDirectory() as folder:
        if not options.text:
            unpack(options.packages, folder)
        texts = documents(options.text or [folder])
    if len(texts) < 2:
        sys.exit("prepare.py: fewer than two texts (.txt, .rst, .pod of 500 characters and more) were found")
    tokenizer = ByteLevelBPETokenizer()
    tokenizer.train_from_iterator(texts[::4] if len(texts) > 400 else texts, vocab_size=options.vocab,
                                  special_tokens=SPECIAL, show_progress=False)  # fmt: skip
    encoded = [np.array([0, *e.ids], np.uint16) for e in tokenizer.encode_batch(texts)]
    total = sum(len(e) for e in encoded)
    options.out.mkdir(parents=True, exist_ok=True)
    target = options.out / "tokens.npz"
    every = max(2, min(HELD_OUT, len(encoded)))
    held = encoded[::every]
    training = [e for i, e in enumerate(encoded) if i % every]
    while True:
        arrays = {}
        for name, part in (("train", training), ("held_out", held)):
            for plane, data in planes(np.concatenate(part)).items():
                arrays[f"{name}_{plane}"] = data
        np.savez_compressed(target, vocab=tokenizer.get_vocab_size(), characters=sum(map(len, texts)), tokens=total,
                            **arrays)  # fmt: skip
        size = target.stat().st_size / 1e6
        if size <= options.megabytes or len(training) < 20:
            break
        training = training[: int(len(training) * min(0.98, options.megabytes / size))]
    (options.out / "tokenizer.json").write_text(tokenizer.to_str())
    print(f"{len(texts)} texts, {total} tokens, {sum(map(len, texts)) / total:.2f} characters a token; kept "
          f"{sum(map(len, training))} to train, {sum(map(len, held))} held out; {target}: {size:.1f} MB")  # fmt: skip


if __name__ == "__main__":
    main()
