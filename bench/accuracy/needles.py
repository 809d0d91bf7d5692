"""Needles: eight tokens `<needle> key key <is> value value value value` of random tokens, hidden in text. Where the first four come
again, the values must follow: nothing but the needle tells them."""

import torch

NEEDLE, IS, FIRST_WORD = 1, 2, 4
KEY, VALUE = 2, 4
LENGTH = 2 + KEY + VALUE
ANSWER_WEIGHT = 3.0


def make(count, vocab, generator):
    """[count, LENGTH] needles of random keys and values."""
    words = torch.randint(FIRST_WORD, vocab, (count, KEY + VALUE), generator=generator, device=generator.device)
    marks = torch.full((count, 1), NEEDLE, device=words.device), torch.full((count, 1), IS, device=words.device)
    return torch.cat((marks[0], words[:, :KEY], marks[1], words[:, KEY:]), 1)


def strew(tokens, count, vocab, generator):
    """Overwrites places of tokens [batch, length] with `count` needles a row, each twice. Returns the weights of the targets
    [batch, length]: 0 where a needle comes first (it cannot be foretold), ANSWER_WEIGHT for values that can be looked up, 1 elsewhere."""
    batch, length = tokens.shape
    slots = (length - 1) // LENGTH
    chosen = torch.rand(batch, slots, generator=generator, device=tokens.device).argsort(1)[:, : 2 * count]
    pairs = chosen.reshape(batch, count, 2).sort(2).values * LENGTH + 1
    needle = make(batch * count, vocab, generator).reshape(batch, count, 1, LENGTH).expand(-1, -1, 2, -1)
    at = pairs[..., None] + torch.arange(LENGTH, device=tokens.device)
    tokens.scatter_(1, at.reshape(batch, -1), needle.reshape(batch, -1))
    weights = torch.ones(tokens.shape, device=tokens.device)
    weights.scatter_(1, at[:, :, 0].reshape(batch, -1), 0.0)
    asked = at[:, :, 1, : 2 + KEY]  # the question's own key is random as well
    weights.scatter_(1, asked.reshape(batch, -1), 0.0)
    return weights.scatter_(1, at[:, :, 1, 2 + KEY :].reshape(batch, -1), ANSWER_WEIGHT)


def haystack(text, count, vocab, generator):
    """text [length] with `count` needles at even depths, and all of them asked for at its end in random order. Returns the tokens
    and where the first value of needle i is asked for, [count]; depth i is (i + 1/2) / count of what lies before the questions."""
    out, length = text.clone(), len(text)
    questions = length - count * LENGTH
    room = questions // count
    if room < LENGTH + 1:
        raise ValueError(f"{count} needles do not fit into {length} tokens: take fewer or a longer text")
    needle = make(count, vocab, generator)
    order = torch.randperm(count, generator=generator, device=text.device)
    starts = []
    for i in range(count):
        at = max(1, i * room + (room - LENGTH) // 2)
        out[at : at + LENGTH] = needle[i]
        asked = questions + int(order[i]) * LENGTH
        out[asked : asked + LENGTH] = needle[i]
        starts.append(asked + 2 + KEY)
    return out, torch.tensor(starts, device=text.device)
