"""The expanding head: what a new class leaves as it was, to the last bit, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray
from strategies import seeds

from catalog.descriptors import InvalidInput
from catalog.head import Head, softmax, widen

around_blocks = st.integers(0, 70) | st.sampled_from([63, 64, 65, 127, 128, 129])
"""Numbers of classes, those about the borders of blocks among them."""

weights = st.floats(-1e3, 1e3, width=32) | st.sampled_from([0.0, -0.0, 1e-45, 3e38, -3e38])
"""Weights of a head, the ends of float32 and both zeros among them."""


@st.composite
def any_heads(draw: st.DrawFn) -> Head:
    """Heads of a few classes with any weights at all."""
    count, width = draw(st.integers(0, 5)), draw(st.integers(1, 4))
    keys = draw(st.lists(st.integers(0, 2**62), min_size=count, max_size=count, unique=True))
    return Head(
        np.array(keys, np.int64),
        draw(arrays(np.float32, (count, width), elements=weights)),
        draw(arrays(np.float32, count, elements=weights)),
    )


def drawn(seed: int, count: int, width: int) -> Head:
    """A head with weights and biases at random."""
    random = np.random.default_rng(seed)
    return Head(
        np.arange(count),
        random.normal(size=(count, width)).astype(np.float32),
        random.normal(size=count).astype(np.float32),
    )


def asked(seed: int, count: int, width: int) -> NDArray[np.float32]:
    """Rows to ask a head about."""
    random = np.random.default_rng([seed, 1])
    return random.normal(size=(count, width)).astype(np.float32)


class TestWidening:
    """One more class, and all as it was."""

    @given(any_heads(), st.sampled_from(["zeros", "random"]), seeds)
    def test_old_columns_are_carried_over(self, head: Head, start: str, seed: int) -> None:
        """Keys, weights and biases of the old classes are the same bytes, for either start."""
        label = 2**62 + 1
        wider = widen(head, label, start=start, seed=seed)
        assert len(wider) == len(head) + 1
        assert wider.classes[-1] == label
        for before, after in (
            (head.classes, wider.classes),
            (head.columns, wider.columns),
            (head.bias, wider.bias),
        ):
            assert before.dtype == after.dtype
            assert before.tobytes() == after[:-1].tobytes()
        assert wider.checksum(len(head)) == head.checksum()
        assert wider.bias[-1] == 0

    def test_starts(self) -> None:
        """A column begins with zeros, or with small numbers that follow seed and class alone."""
        head = drawn(0, 3, 500)
        assert not widen(head, 7).columns[-1].any()
        one = widen(head, 7, start="random", seed=5).columns[-1]
        assert one.std() == pytest.approx(0.01, rel=0.2)
        fewer = widen(drawn(9, 1, 500), 7, start="random", seed=5).columns[-1]
        np.testing.assert_array_equal(one, fewer)
        assert not np.array_equal(one, widen(head, 7, start="random", seed=6).columns[-1])
        assert not np.array_equal(one, widen(head, 8, start="random", seed=5).columns[-1])

    def test_no_class_twice(self) -> None:
        """A class that has a column gets no second one."""
        with pytest.raises(InvalidInput, match="two columns"):
            widen(drawn(0, 3, 2), 1)

    def test_the_old_head_is_left_alone(self) -> None:
        """Widening makes another head, and changes nothing in the one it was made of."""
        head = drawn(0, 3, 2)
        before = head.checksum()
        wider = widen(head, 9, start="random")
        wider.columns[:] = 0
        assert (len(head), head.checksum()) == (3, before)


class TestLogits:
    """What a head says of rows."""

    @settings(max_examples=60)
    @given(around_blocks, st.integers(0, 70), st.integers(1, 40), st.integers(1, 3), seeds)
    def test_old_logits_stay(
        self, classes: int, rows: int, width: int, added: int, seed: int
    ) -> None:
        """The logits of old classes are the same bits after more classes came."""
        head, queries = drawn(seed, classes, width), asked(seed, rows, width)
        before, wider = head.logits(queries), head
        for label in range(added):
            wider = widen(wider, classes + label, start="random", seed=seed)
        after = wider.logits(queries)
        assert after.shape == (rows, classes + added)
        assert before.tobytes() == after[:, :classes].tobytes()

    @pytest.mark.parametrize("width", [64, 1280])
    def test_old_logits_stay_across_the_borders(self, width: int) -> None:
        """About 64 and 128 classes no old logit changes as classes come one at a time."""
        queries = asked(3, 37, width)
        for start, end in ((0, 2), (62, 66), (127, 129)):
            head = drawn(3, start, width)
            before = head.logits(queries)
            for label in range(start, end):
                head = widen(head, label, start="random", seed=label)
                after = head.logits(queries)
                assert before.tobytes() == after[:, :-1].tobytes(), label
                before = after

    @settings(max_examples=60)
    @given(around_blocks, st.integers(0, 70), st.integers(1, 40), seeds)
    def test_is_the_plain_product(self, classes: int, rows: int, width: int, seed: int) -> None:
        """Blocks or not, a logit is the product of row and column, and the bias."""
        head, queries = drawn(seed, classes, width), asked(seed, rows, width)
        expected = queries.astype(np.float64) @ head.kernel.astype(np.float64) + head.bias
        found = head.logits(queries)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected, atol=1e-5)

    @given(st.integers(2, 10), st.integers(2, 70), seeds)
    def test_layout_does_not_matter(self, width: int, rows: int, seed: int) -> None:
        """Rows that lie in memory in another way have the same logits, to the last bit."""
        head, queries = drawn(seed, 5, width), asked(seed, rows, width)
        expected = head.logits(queries).tobytes()
        assert head.logits(np.asfortranarray(queries)).tobytes() == expected
        assert head.logits(np.repeat(queries, 2, axis=1)[:, ::2]).tobytes() == expected

    def test_no_class(self) -> None:
        """An empty head has a width, and says nothing of any row."""
        head = Head.empty(4)
        assert (len(head), head.width, head.kernel.shape, head.scale) == (0, 4, (4, 0), 1)
        assert head.logits(np.zeros((3, 4), np.float32)).shape == (3, 0)
        assert drawn(0, 3, 4).logits(np.zeros((0, 4), np.float32)).shape == (0, 3)

    @pytest.mark.parametrize(
        "rows",
        [
            np.zeros((2, 3), np.float32),
            np.zeros(4, np.float32),
            np.zeros((1, 1, 4), np.float32),
            np.full((1, 4), np.nan, np.float32),
            np.full((1, 4), np.inf, np.float32),
        ],
    )
    def test_rows_that_are_refused(self, rows: NDArray[np.float32]) -> None:
        """Rows of another length or shape, and numbers that are not finite, are refused."""
        with pytest.raises(InvalidInput, match=r"\(Q, 4\)"):
            drawn(0, 3, 4).logits(rows)

    def test_scale_is_the_mean_length(self) -> None:
        """Logits divided by the scale are cosines where all columns are of one length."""
        columns = np.array([[3, 4], [0, 1]], np.float32)
        head = Head(np.arange(2), columns, np.zeros(2, np.float32))
        assert head.scale == pytest.approx(3)
        assert Head(np.arange(2), columns * 0, np.zeros(2, np.float32)).scale == 1


class TestChecksum:
    """A hash of all there is to a head."""

    @given(any_heads(), st.data())
    def test_any_bit_changes_it(self, head: Head, data: st.DataObject) -> None:
        """A head with one other bit of a key, a weight or a bias has another checksum."""
        parts = {
            "classes": head.classes.copy(),
            "columns": head.columns.copy(),
            "bias": head.bias.copy(),
        }
        name = data.draw(st.sampled_from(sorted(parts)))
        touched = parts[name].reshape(-1).view(np.uint8)
        if not len(touched):
            return
        touched[data.draw(st.integers(0, len(touched) - 1))] ^= 1 << data.draw(st.integers(0, 7))
        try:
            other = Head(**parts)
        except InvalidInput:  # the flip made a number that is not finite, or a key occur twice
            return
        assert other.checksum() != head.checksum()

    @given(any_heads())
    def test_is_of_contents_alone(self, head: Head) -> None:
        """Equal heads have equal checksums, and each count of columns has its own."""
        copied = Head(head.classes.copy(), np.asfortranarray(head.columns), head.bias.copy())
        assert copied.checksum() == head.checksum() == head.checksum(len(head))
        assert len({head.checksum(count) for count in range(len(head) + 1)}) == len(head) + 1

    def test_width_counts(self) -> None:
        """Empty heads of different width are told apart."""
        assert Head.empty(3).checksum() != Head.empty(4).checksum()


@pytest.mark.parametrize(
    ("classes", "columns", "bias", "why"),
    [
        (np.arange(2), np.zeros((3, 4), np.float32), np.zeros(2, np.float32), "fit"),
        (np.arange(2), np.zeros((2, 4), np.float32), np.zeros(3, np.float32), "fit"),
        (np.arange(2), np.zeros((2, 4), np.float32), np.zeros((2, 1), np.float32), "fit"),
        (np.arange(2), np.zeros(2, np.float32), np.zeros(2, np.float32), "fit"),
        (np.arange(2), np.zeros((2, 4)), np.zeros(2, np.float32), "float32"),
        (np.arange(2), np.zeros((2, 4), np.float32), np.zeros(2), "float32"),
        (np.arange(2), np.zeros((2, 4), np.int64), np.zeros(2, np.float32), "float32"),
        (np.arange(2), np.full((2, 4), np.nan, np.float32), np.zeros(2, np.float32), "finite"),
        (np.arange(2), np.zeros((2, 4), np.float32), np.full(2, np.inf, np.float32), "finite"),
        (np.array([5, 5]), np.zeros((2, 4), np.float32), np.zeros(2, np.float32), "two columns"),
    ],
)
def test_heads_that_are_refused(
    classes: NDArray[np.int64], columns: NDArray[np.float32], bias: NDArray[np.float32], why: str
) -> None:
    """Shapes that do not fit, other dtypes, numbers that are not finite and keys that recur."""
    with pytest.raises(InvalidInput, match=why):
        Head(classes, columns, bias)


@pytest.mark.parametrize(
    "classes", [np.array([0.5, 1.5]), np.array([1, 2], np.int32), np.array([[1], [2]])]
)
def test_keys_that_are_refused(classes: NDArray[np.generic]) -> None:
    """Keys are int64 in one row, as a head says; anything else is refused."""
    with pytest.raises(InvalidInput):
        Head(classes, np.zeros((2, 3), np.float32), np.zeros(2, np.float32))


class TestSoftmax:
    """Probabilities of logits."""

    @given(
        arrays(
            np.float32,
            array_shapes(min_dims=2, max_dims=2, max_side=8),
            elements=st.floats(-float(np.float32(3e38)), float(np.float32(3e38)), width=32),
        )
    )
    def test_rows_sum_to_one(self, logits: NDArray[np.float32]) -> None:
        """Of any finite logits, probabilities are from 0 to 1, sum to 1, and keep the order."""
        with np.errstate(over="raise", invalid="raise"):
            found = softmax(logits)
        assert found.dtype == np.float64
        assert ((found >= 0) & (found <= 1)).all()
        np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-12)
        order = np.argsort(logits, axis=1)
        assert (np.diff(np.take_along_axis(found, order, axis=1), axis=1) >= 0).all()

    def test_by_hand(self) -> None:
        """Logits a log 3 apart are as 1 to 3, wherever they lie; extremes leave 0 and 1."""
        for base in (0.0, 1000.0, -1000.0):
            logits = np.array([[base, base + np.log(3)]], np.float32)
            np.testing.assert_allclose(softmax(logits), [[0.25, 0.75]], atol=1e-4)
        extreme = np.array([[3e38, -3e38, 0], [-3e38, -3e38, -3e38]], np.float32)
        np.testing.assert_allclose(softmax(extreme), [[1, 0, 0], [1 / 3, 1 / 3, 1 / 3]])

    def test_nothing(self) -> None:
        """No rows and no classes have no probabilities."""
        assert softmax(np.zeros((0, 3), np.float32)).shape == (0, 3)
        assert softmax(np.zeros((2, 0), np.float32)).shape == (2, 0)
