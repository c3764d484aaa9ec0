"""How predictions and evaluations read in a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from catalog.cli.output import counted, print_table, say, tell
from catalog.text import natural

if TYPE_CHECKING:
    from catalog import (
        AuditReport,
        Candidate,
        CrossCheckResult,
        Drift,
        Evaluation,
        Prediction,
        Rise,
        VerdictCount,
    )

_SHOWN = 10
_MANY = 0.1  # from what share on many photos are unknown


def print_prediction(answer: Prediction) -> None:
    """Print one answer: what it is and how sure, then what each witness says."""
    if answer.label is None:
        tell("unknown: the catalogue is empty")
        return
    tell(f"{_headline(answer)}{_surety(answer)}")
    by_head, by_item = _scores(answer.head), _scores(answer.neighbours)
    by_centroid = _scores(answer.centroid)
    listed = dict.fromkeys(
        candidate.label
        for candidates in (answer.candidates, answer.centroid, answer.head, answer.neighbours)
        for candidate in candidates
    )
    most = len(answer.centroid)
    rows = [
        (
            at,
            label,
            by_head.get(label, "-"),
            by_centroid.get(label, "-"),
            by_item.get(label, "-"),
        )
        for at, label in enumerate(list(listed)[:most], start=1)
    ]
    print_table(rows, ("", "class", "head", "its mean", "its nearest item"))
    if answer.surer:
        tell(f"more photos of {' and '.join(map(repr, answer.surer))} would make it surer")


def print_evaluation(result: Evaluation) -> None:
    """Print the figures of an evaluation."""
    tell(f"{counted(result.pictures, 'picture')} of {counted(result.classes, 'class')}")
    head = [("head", result.head.top1, result.head.top5)] if result.head else []
    print_table(
        [
            ("cross-check", result.cross_check.top1, result.cross_check.top5),
            *head,
            ("nearest centroid", result.centroid.top1, result.centroid.top5),
            ("nearest item", result.neighbours.top1, result.neighbours.top5),
        ],
        ("", "top-1", "top-5"),
    )
    if result.head:
        tell(f"loss of the head {result.head.loss:.3f}")
    tell(
        f"ranking of items: recall@1 {result.retrieval.recall_at_1:.3f}, "
        f"mAP {result.retrieval.mean_average_precision:.3f}"
    )
    agreement = result.agreement
    if agreement.top1 is not None:
        tell(
            f"all witnesses agree on {agreement.share:.1%}, "
            f"and are right on {agreement.top1:.1%} of those"
        )
    _print_verdicts(result.cross_check)
    if result.strangers:
        total = sum(count.pictures for count in result.strangers)
        words = ", ".join(f"{count.pictures} {count.verdict}" for count in result.strangers)
        tell("", f"of {total} pictures of classes that are not here: {words}")
    if result.confusions:
        tell("", "most often confused")
        print_table(
            [(c.pictures, f"{c.truth} taken for {c.predicted}") for c in result.confusions[:10]]
        )
        tell("", "classes with the lowest top-1")
        worst = sorted(result.per_class, key=lambda c: (c.cross_check_top1, natural(c.label)))[:10]
        print_table([(c.cross_check_top1, f"{c.label} ({c.pictures})") for c in worst])


def print_audit(report: AuditReport) -> None:
    """Print what is wrong with a catalogue: the worst of each kind."""
    found = report.found
    tell(f"{counted(found.items, 'item')}, {_independent(report)}")
    if found.share_right is not None:
        tell(f"judged without its near-duplicates, {found.share_right:.1%} of them are right")
    _section("pictures that look the same in two classes", len(found.duplicates))
    print_table(
        (d.cosine, f"item {d.item} of {d.label!r} and item {d.other_item} of {d.other_label!r}")
        for d in found.duplicates[:_SHOWN]
    )
    _section("items that are likely mislabelled", len(found.mislabelled))
    print_table(
        (m.evidence, f"item {m.item} of {m.label!r} looks like {m.proposed!r}")
        for m in found.mislabelled[:_SHOWN]
    )
    _section("classes that will be confused", len(found.confusable))
    print_table((c.share, f"{c.label!r} and {c.other!r}") for c in found.confusable[:_SHOWN])
    needy = [c for c in found.classes if c.needs]
    _section("classes that need more pictures", len(needy))
    print_table(
        [
            (c.items, c.groups, "-" if c.share_right is None else c.share_right, c.label)
            for c in needy[:_SHOWN]
        ],
        ("items", "independent", "right", "") if needy else (),
    )
    if needy and report.named < found.items:
        say(
            "note: if these photos are of more occasions than was guessed, import them once more "
            "by a list with a column `group` that says of which"
        )
    _print_drift(report)
    if report.kept:
        _section(f"classes that {report.kept} unknown photos could make", len(report.proposed))
        for proposed in report.proposed[:_SHOWN]:
            tell(f"{counted(proposed.pictures, 'photo')} (alike to {proposed.cosine:.2f}):")
            for place in proposed.places:
                tell(f"  {place}")
            items = " ".join(map(str, proposed.items))
            tell(f"  `catalog move NAME --new {items}` makes it")
        tell(f"{counted(report.alone, 'photo')} like no other")


def _print_drift(report: AuditReport) -> None:
    """Print whether what is asked has changed; nothing where nothing was asked."""
    found = report.drift
    if found is None:
        if report.asked:
            photos = counted(report.asked, "photo")
            tell("", f"{photos} asked: too little to tell whether what is asked changes")
        return
    changed = "what is asked has changed" if found.unknown.risen else "no more than by chance"
    tell(
        "",
        f"{_of(found.unknown)} photos asked since {found.since} were unknown, "
        f"{_before(found.unknown)} since {found.first}: {changed}",
    )
    changed = "answers are less sure" if found.doubtful.risen else "no more than by chance"
    tell(
        f"{_of(found.doubtful)} were ambiguous, or head and mean disagreed, "
        f"{_before(found.doubtful)}: {changed}"
    )
    if found.tested:
        what = f"classes, of {found.tested} named often, whose answers have become less sure"
        _section(what, len(found.less_sure))
        print_table(
            [
                (one.recent / one.of_recent, one.before / one.of_before, one.label)
                for one in found.less_sure[:_SHOWN]
            ],
            ("no match", "before", "") if found.less_sure else (),
        )
    many = found.unknown.recent >= _MANY * found.unknown.of_recent
    if found.unknown.risen or many:
        _say_what_is_next(report, found)


def _say_what_is_next(report: AuditReport, found: Drift) -> None:
    """Say where the next classes come from, where many photos are unknown."""
    if report.proposed:
        tell("the next classes may be among those below, which unknown photos that were kept make")
    elif report.kept:
        tell("no unknown photos that were kept are alike enough yet to make a class")
    else:
        tell(
            f"none of the {found.unknown.recent} was kept: `catalog predict --keep-unknown` keeps "
            "such photos, and `catalog audit` then proposes classes from them"
        )


def _of(rise: Rise) -> str:
    return f"{rise.recent / rise.of_recent:.1%} of {rise.of_recent}"


def _before(rise: Rise) -> str:
    return f"before that {rise.before / rise.of_before:.1%} of {rise.of_before}"


def _independent(report: AuditReport) -> str:
    groups = counted(report.found.groups, "independent picture")
    if report.named == report.found.items:
        return groups
    what = "" if not report.named else f" for {report.found.items - report.named} of them"
    return f"{groups} (a guess{what}, by how alike they are and when they were taken)"


def _section(what: str, count: int) -> None:
    shown = f"; the first {_SHOWN}" if count > _SHOWN else ""
    tell("", f"{what}: {count or 'none'}{shown}")


def _headline(answer: Prediction) -> str:
    label = str(answer.label)
    if answer.verdict == "match":
        return label
    if answer.verdict == "unknown":
        return f"unknown; the nearest class is {label}"
    if answer.verdict == "disagree":
        other = answer.centroid[0].label
        if other == label:
            other = (answer.head or answer.neighbours)[0].label
        return f"{label} or {other}"
    others = [candidate.label for candidate in answer.candidates[1:]]
    return f"{label}, or {' or '.join(others)}" if others and answer.precision else label


def _surety(answer: Prediction) -> str:
    agree = "all agree" if answer.agree else "not all agree"
    if answer.verdict == "unknown":  # how sure it would be, were it one of these, says little
        return f" ({agree} on that)" if answer.agree else f" ({agree})"
    if answer.probability is None:
        why = "too few independent photos to say"
        if answer.precision is not None:
            why = "nothing that was measured says"
        return f" ({answer.verdict}, {agree}; {why} how sure that is)"
    guess = " by photos that were made up" if answer.evidence == "made up" else ""
    short = ""
    if answer.coverage == 0 and answer.precision is not None:
        short = f"; {100 * answer.precision:.3g}% cannot be promised of any answer here"
    return f" ({answer.verdict}: {answer.probability:.1%} sure{guess}, {agree}{short})"


def _scores(candidates: Sequence[Candidate]) -> dict[str, float]:
    return {candidate.label: candidate.score for candidate in candidates}


def _print_verdicts(result: CrossCheckResult) -> None:
    if result.precision is None or result.reliability is None:
        tell("too few independent photos in the catalogue to say how sure an answer is")
        return
    total = sum(count.pictures for count in result.verdicts)
    tell("", f"verdicts, a match to be right in {result.precision:.0%}")
    print_table(
        [(c.verdict, c.pictures, c.pictures / total, _share(c)) for c in result.verdicts],
        ("", "pictures", "share", "right"),
    )
    tell(f"expected share of matches {result.expected_coverage:.3f}")
    tell(f"calibration error {result.reliability.error:.3f}")
    tell(
        f"of things that look like these and are not here, some {result.strangers_matched:.1%} "
        f"would be a match, and {result.strangers_unknown:.1%} unknown"
    )


def _share(count: VerdictCount) -> float | str:
    return count.right / count.pictures if count.pictures else "-"
