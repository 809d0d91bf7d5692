#!/usr/bin/env python3
"""man_page.py [--check] [PROGRAM]: renews docs/snapmla.1 from the program's --help and docs/environment.md; with --check
only says whether it is current. PROGRAM: build/release/bin/snapmla unless given."""

import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "snapmla.1"


def said(program, *words):
    return subprocess.run([program, *words], check=True, capture_output=True, text=True).stdout


def roff(text):
    """Text as troff takes it literally."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return "\\&" + text if text.startswith((".", "'")) else text


def commands_of(help_text):
    return re.findall(r"^  ([a-z]+) +(.+)$", help_text, re.M)


def options_of(help_text):
    """[(option with its argument, text)] of a command's help, whose texts may go on in the lines below."""
    found = []
    for line in help_text.split("options (defaults in parentheses):\n", 1)[1].splitlines():
        head = re.match(r"^  (-.*?)(?:  +(\S.*))?$", line)
        if head and not line.startswith(" " * 6):
            found.append([head[1], head[2] or ""])
        elif line.strip():
            found[-1][1] = (found[-1][1] + " " + line.strip()).strip()
    return [tuple(one) for one in found]


def usage_of(help_text):
    """(the usage line, the paragraphs below it, each a list of lines)"""
    head = help_text.split("options (defaults in parentheses):\n", 1)[0]
    usage, _, detail = head.partition("\n")
    return usage.replace("usage: ", "", 1), [part.splitlines() for part in detail.strip().split("\n\n") if part]


def long_name(option):
    return re.search(r"--[a-z0-9-]+", option)[0]


def command_section(name, help_text):
    usage, paragraphs = usage_of(help_text)
    lines = [f".SS {name}", f".B {roff(usage)}"]
    for paragraph in paragraphs:
        lines += [".PP", ".nf" if len(paragraph) > 1 and all("  " in line for line in paragraph) else ".ad l"]
        lines += [roff(line) for line in paragraph]
        if lines[-len(paragraph) - 1] == ".nf":
            lines.append(".fi")
    names = [long_name(option) for option, _ in options_of(help_text)]
    return lines + [".PP", "Options: " + roff(" ".join(names)) + "."]


def option_section(helps):
    """Each option with each of its texts once, in the order of the commands, and which commands take it."""
    takers = {}
    for name, help_text in helps.items():
        for option in options_of(help_text):
            takers.setdefault(option, []).append(name)
    lines = [".SH OPTIONS"]
    for (option, text), names in takers.items():
        lines += [".TP", f".B {roff(option)}", roff(text + ".")]
        if len(names) < len(helps):
            lines.append(f"({', '.join(names)})")
    return lines


def environment_section():
    lines = [".SH ENVIRONMENT", "An empty value counts as unset; set\\-user\\-id programs ignore all of them."]
    table = (ROOT / "docs" / "environment.md").read_text(encoding="utf-8")
    for name, default, meaning in re.findall(r"^\| `(\w+)` \| (.+?) \| (.+?) \|$", table, re.M):
        lines += [".TP", f".B {name}", roff(f"{meaning} ({default}).")]
    return lines


def page(program):
    overview = said(program, "--help")
    commands = commands_of(overview)
    version = said(program, "version").split()[-1]
    helps = {name: said(program, name, "--help") for name, _ in commands}
    lines = [
        ".\\\" Written by scripts/man_page.py from the program's help.",
        f'.TH SNAPMLA 1 "" "snapmla {version}" "User Commands"',
        ".nh",
        ".SH NAME",
        "snapmla \\- FP8 decode attention for Multi\\-head Latent Attention on NVIDIA Hopper",
        ".SH SYNOPSIS",
        ".B snapmla",
        ".I COMMAND",
        ".RI [ OPTIONS ]",
        ".SH DESCRIPTION",
        "Generates, compiles, tunes, runs and packs decode kernels, with or without a GPU. Results go to standard output;",
        "progress, notes and errors to standard error, each error one line that names the thing, the rule and the remedy.",
        ".B snapmla",
        ".I COMMAND",
        ".B \\-\\-help",
        "lists a command's options with their defaults, which stand in parentheses below too.",
        ".SH COMMANDS",
    ]
    for name, summary in commands:
        lines += [".TP", f".B {name}", summary]
    lines.append(".SH USAGE")
    for name, _ in commands:
        lines += command_section(name, helps[name])
    lines += option_section(helps)
    lines += environment_section()
    lines += [
        ".SH FILES",
        ".TP",
        ".I $SNAPMLA_CACHE_DIR\\fR, else \\fI$XDG_CACHE_HOME/snapmla\\fR, else \\fI~/.cache/snapmla",
        "The store: compiled kernels and their manifests (obj/), measurements (tune/), variants that are not tried again (neg/,",
        "quarantine/), work under way (tmp/, lock/). It may be removed at any time. Where it cannot be written everything works from",
        "memory.",
        ".TP",
        ".I *.smlapack",
        "Packs: kernels and the problems they serve, which",
        ".B snapmla\\-run",
        "and the library snapmla\\-deploy run with the driver alone.",
        ".SH EXIT STATUS",
    ]
    meanings = re.search(r"^exit codes: (.+)$", overview, re.M)[1].split("; ")
    for code, meaning in (part.split(" ", 1) for part in meanings):
        lines += [".TP", f".B {code}", meaning[0].upper() + roff(meaning[1:]) + "."]
    lines += [
        ".SH EXAMPLES",
        ".nf",
        roff("snapmla doctor"),
        roff("snapmla run --heads 128 --context 4096,1500,700,65"),
        roff("snapmla tune --heads 64 --batch 32 --max-context 16384 --report tuned.html"),
        roff("snapmla export --heads 64 --batch 32 -o kernels.smlapack"),
        ".fi",
        ".SH SEE ALSO",
        "The pages in docs/, docs/cli.md first.",
    ]
    return "\n".join(lines) + "\n"


def main():
    words = [word for word in sys.argv[1:] if word != "--check"]
    if len(words) > 1 or any(word.startswith("-") for word in words):
        sys.exit(__doc__)
    new = page(words[0] if words else str(ROOT / "build" / "release" / "bin" / "snapmla"))
    if "--check" not in sys.argv:
        PAGE.write_text(new, encoding="utf-8")
    elif new != PAGE.read_text(encoding="utf-8"):
        sys.exit("docs/snapmla.1 is not what the program's help says: run python3 scripts/man_page.py")


if __name__ == "__main__":
    main()
