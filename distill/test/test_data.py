# Packed rows: what is learnt in each phase, nothing lost, nothing too long, and a run that resumes at the exact piece.
import numpy

import chat
import corpus
import data


def test_pieces_fit_and_cover_every_token_once(folder):
    for name in corpus.GROUPS:
        group = data.Group(folder / "data" / f"train-{name}.npz", 65)
        learnt = numpy.zeros(len(group.ids), int)
        for start, count, bos in group.pieces:
            assert count + bos <= 65
            learnt[start if bos else start + 1:start + count] += 1
        assert (learnt <= 1).all() and learnt.mean() > 0.99


def test_second_phase_learns_assistant_tokens_only(folder):
    rows = data.Rows(folder / "data", 257, 1)  # longer than any exchange of the fixture
    for _ in range(20):
        ids, learn, group = rows.batch(8, "B")
        for row, mask, name in zip(ids, learn, group):
            if corpus.GROUPS[name] in ("stories", "books", "wiki"):
                continue
            inside = False
            for token, flag in zip(row, mask):
                inside = True if token == chat.ASSISTANT else False if token in (chat.USER, chat.SYSTEM, chat.BOS, chat.PAD) else inside
                assert not flag or inside
                inside = inside and token != chat.END
    assert learn.any()


def test_first_phase_learns_all_but_padding(folder):
    ids, learn, _ = data.Rows(folder / "data", 129, 1).batch(16, "A")
    assert (learn == ((ids != chat.PAD) & (ids != chat.BOS))).all()
    assert (ids != chat.PAD).mean() > 0.9


def test_resumes_exactly(folder):
    one = data.Rows(folder / "data", 65, 3)
    for _ in range(30):
        one.batch(16, "A")
    two = data.Rows(folder / "data", 65, 3)
    two.restore(one.state())
    for mine, other in zip(one.batch(16, "B"), two.batch(16, "B")):
        assert (mine == other).all()


def test_split_is_stable_and_small(folder):
    records = [r for g in corpus.GROUPS for r in corpus.read_group(folder / "corpus", g)]
    kept = [corpus.held_out(r) for r in records]
    assert kept == [corpus.held_out(r) for r in records] and 0 < sum(kept) < 0.05 * len(kept)
