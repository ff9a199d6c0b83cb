# Corpus records as token ids: prepared once into arrays, then packed into rows of fixed length by group weight.
import argparse
import copy
from pathlib import Path

import numpy

import chat
import corpus
import tokenizer as tokens

# Share of rows per group: language and facts first, then conversation and reasoning while the rate falls. Made for a run of about
# ten million tokens, which is too short for an encyclopedia and needs a third of its tokens for thinking to help at all.
WEIGHTS = {
    "A": {"stories": .14, "books": .08, "wiki": .12, "dialog": .16, "chat": .06, "instruct": .05, "qa": .11, "reason": .28},
    "B": {"stories": .13, "books": .01, "wiki": .02, "dialog": .13, "chat": .13, "instruct": .06, "qa": .14, "reason": .38},
}
# Outside problems, thinking has nothing to work out; some answers say so, so that the dial is defined everywhere.
NO_STEPS = "This needs no steps."
NO_STEPS_SHARE = 0.12
SYSTEM_MESSAGES = (
    "You are a helpful assistant.", "You are a friendly assistant. Answer briefly.", "Be kind and use plain words.",
    "You are Moebius, a small language model that runs in a browser.", "Answer the question of the user.",
    "You are a helpful assistant. If you do not know something, say so.",
)
SYSTEM_SHARE = 0.08
POOL = 64  # pieces looked through for one that fills the rest of a row


def document(encode, text):
    """A document → one unit (ids, mask), all of it to be learnt."""
    ids = [*encode(text), chat.END]
    return [(ids, [1] * len(ids))]


def conversation(encode, turns, group, draw):
    """Turns → units, each an exchange that ends with an assistant turn. Only the last answer may show steps."""
    units, ids, mask = [], [], []
    if draw.random() < SYSTEM_SHARE:
        ids, mask = chat.encode_turn(encode, "system", SYSTEM_MESSAGES[draw.integers(len(SYSTEM_MESSAGES))])
    for number, turn in enumerate(turns):
        steps, content = chat.split_steps(turn["content"]) if turn["role"] == "assistant" else ("", turn["content"])
        if number < len(turns) - 1:
            steps = ""
        elif turn["role"] == "assistant" and group != "reason" and not steps and draw.random() < NO_STEPS_SHARE:
            steps = NO_STEPS
        more, learnt = chat.encode_turn(encode, turn["role"], content, steps)
        ids, mask = ids + more, mask + learnt
        if turn["role"] == "assistant":
            units.append((ids, mask))
            ids, mask = [], []
    return units


def prepare(folder, tokenizer_folder, out):
    """Writes {train,held}-{group}.npz: ids u16, mask u8, unit (first token of each unit, then the end), record (of each unit)."""
    plain = tokens.load_plain(tokenizer_folder)
    encode = lambda text: plain.encode(text).ids
    Path(out).mkdir(parents=True, exist_ok=True)
    for group in corpus.GROUPS:
        draw = numpy.random.default_rng(len(group))
        parts = {name: ([], [], [0], []) for name in ("train", "held")}
        for number, record in enumerate(corpus.read_group(folder, group)):
            ids, mask, unit, owner = parts["held" if corpus.held_out(record) else "train"]
            units = document(encode, record["text"]) if "text" in record else conversation(encode, record["turns"], group, draw)
            for more, learnt in units:
                ids.extend(more)
                mask.extend(learnt)
                unit.append(len(ids))
                owner.append(number)
        for name, (ids, mask, unit, owner) in parts.items():
            numpy.savez(Path(out) / f"{name}-{group}.npz", ids=numpy.array(ids, numpy.uint16), mask=numpy.array(mask, numpy.uint8),
                        unit=numpy.array(unit, numpy.int64), record=numpy.array(owner, numpy.int64))
            print(f"{name} {group}: {len(ids)} tokens, {len(unit) - 1} units")


class Group:
    """One group's tokens, cut into pieces no longer than a row: runs of whole exchanges, or stretches of a document."""

    def __init__(self, path, row):
        with numpy.load(path) as file:
            self.ids, self.mask = file["ids"], file["mask"]
            unit, record = file["unit"].tolist(), file["record"].tolist()
        self.pieces = []  # (first token, token count, whether it starts with <|bos|>)
        number = 0
        while number < len(record):
            start, last = unit[number], number + 1
            while last < len(record) and record[last] == record[number] and unit[last + 1] - start < row:
                last += 1
            end, bos = unit[last], True
            while end - start > row - bos:
                self.pieces.append((start, row - bos, bos))
                # One token of overlap, so that every token is predicted once.
                start, bos = start + row - bos - 1, False
            if end - start > 1:
                self.pieces.append((start, end - start, bos))
            number = last

    def write(self, piece, ids, mask):
        """Copies a piece to the front of a row's remainder; returns its length."""
        start, count, bos = self.pieces[piece]
        if bos:
            ids[0] = chat.BOS
        ids[bos:bos + count] = self.ids[start:start + count]
        mask[bos:bos + count] = self.mask[start:start + count]
        if not bos:
            mask[0] = 0  # overlap: context only
        return count + bos

    def length(self, piece):
        return self.pieces[piece][1] + self.pieces[piece][2]


class Rows:
    """Endless batches of packed rows. state() and restore() make a run resumable at the exact piece."""

    def __init__(self, folder, row, seed):
        self.groups = {name: Group(Path(folder) / f"train-{name}.npz", row) for name in corpus.GROUPS}
        self.row, self.seed = row, seed
        self.draw = numpy.random.default_rng(seed)
        self.passes = {name: 0 for name in corpus.GROUPS}
        self.place = {name: 0 for name in corpus.GROUPS}
        self.pool = {name: [] for name in corpus.GROUPS}
        self.order = {name: self._order(name) for name in corpus.GROUPS}

    def _order(self, name):
        seed = (self.seed, corpus.GROUPS.index(name), self.passes[name])
        return numpy.random.default_rng(seed).permutation(len(self.groups[name].pieces))

    def _take(self, name, room):
        """The first pooled piece that fits into `room`, or None."""
        pool = self.pool[name]
        while len(pool) < POOL:
            if self.place[name] == len(self.order[name]):
                self.passes[name] += 1
                self.place[name] = 0
                self.order[name] = self._order(name)
            pool.append(int(self.order[name][self.place[name]]))
            self.place[name] += 1
        for at, piece in enumerate(pool):
            if self.groups[name].length(piece) <= room:
                return pool.pop(at)
        return None

    def batch(self, count, phase):
        """→ ids [count, row] i64, learn [count, row] bool (targets that count), group [count] i64."""
        ids = numpy.full((count, self.row), chat.PAD, numpy.int64)
        mask = numpy.zeros((count, self.row), numpy.uint8)
        weights = numpy.array([WEIGHTS[phase][name] for name in corpus.GROUPS])
        group = self.draw.choice(len(weights), size=count, p=weights / weights.sum())
        for at in range(count):
            name, filled = corpus.GROUPS[group[at]], 0
            while (piece := self._take(name, self.row - filled)) is not None:
                filled += self.groups[name].write(piece, ids[at, filled:], mask[at, filled:])
        # The first phase learns every token; a piece's first token is never guessed from the piece before.
        learn = (ids != chat.PAD) & (ids != chat.BOS) if phase == "A" else mask.astype(bool)
        return ids, learn, group

    def state(self):
        return copy.deepcopy({"draw": self.draw.bit_generator.state, "passes": self.passes, "place": self.place, "pool": self.pool})

    def restore(self, state):
        self.draw.bit_generator.state = state["draw"]
        self.passes, self.place, self.pool = state["passes"], state["place"], state["pool"]
        self.order = {name: self._order(name) for name in corpus.GROUPS}


def held_rows(folder, name, row, limit):
    """Held-out rows of one group: ids, learn (every token), answer (assistant tokens); each [≤ limit, row]."""
    group = Group(Path(folder) / f"held-{name}.npz", row)
    rows, at = [], 0
    while at < len(group.pieces) and len(rows) < limit:
        ids, mask, filled = numpy.full(row, chat.PAD, numpy.int64), numpy.zeros(row, numpy.uint8), 0
        while at < len(group.pieces) and group.length(at) <= row - filled:
            filled += group.write(at, ids[filled:], mask[filled:])
            at += 1
        rows.append((ids, mask))
    ids = numpy.stack([r[0] for r in rows])
    return ids, (ids != chat.PAD) & (ids != chat.BOS), numpy.stack([r[1] for r in rows]).astype(bool)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="corpus folder and tokenizer → token arrays")
    parser.add_argument("--corpus", required=True)
    parser.add_argument("--tokenizer", required=True)
    parser.add_argument("--out", required=True)
    arguments = parser.parse_args()
    prepare(arguments.corpus, arguments.tokenizer, arguments.out)
