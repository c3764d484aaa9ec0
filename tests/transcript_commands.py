r"""What the transcript runs: chapters of command lines, each in a folder of its own.

A chapter begins with a copy of a catalogue, ``shop.catalog``, which ``CATALOG_PATH`` names: six
classes (cup, jug, pan, mug, pot, tray) of eight pictures each, items 1 to 48, embedded by a tiny
network. Beside the chapter's folder lie ``../tree``, which the catalogue was made of, ``../test``
with more pictures of the same classes, ``../new`` with those of other things, ``../bad`` with
broken files, ``../networks`` and ``../golden``. Lines are split as a shell would split them.

- ``catalog ...`` runs the command. The word ``[--json]`` means twice: without it, then with it.
- ``NAME=value`` before it sets a variable of the environment.
- ``< FILE`` after it gives a file, and ``<<< TEXT`` a text, on standard input; ``\n`` ends a line.
- ``bash TEXT`` runs a line of shell in which ``catalog`` is the command.
- Other words are tools of the recorder: ``write``, ``copy``, ``delete``, ``show``, ``list``,
  ``zero``, ``cut``, ``sql``, ``lock`` and ``unlock``; each is described in ``transcript.py``.
- ``{hub}`` is the address of a server on this machine, and ``{long}`` a name of 300 letters.
"""

from __future__ import annotations

from typing import Final

FIRST_CHAPTER: Final = r"""
catalog init shop.catalog --backbone ../networks/tiny.tflite --views fast
catalog import ../tree
catalog predict ../test/cup/30.png
"""
"""Makes the catalogue that the other chapters begin with."""

COMMAND_NAMES: Final = (
    *("init", "add-class", "add", "import", "nearest", "predict", "feedback", "train-head"),
    *("evaluate", "labels", "items", "info", "history", "move", "rename-class", "merge-classes"),
    *("remove", "remove-class", "forget", "compact", "undo", "merge", "backup", "restore"),
    *("export", "audit", "verify", "doctor", "model", "model fetch", "model import", "model list"),
)
"""Every command; a chapter asks each for its help."""

HELP: Final = "\n".join(
    [
        "catalog",
        "catalog --help",
        "catalog -h",
        "catalog --version",
        "catalog model",
        *(f"catalog {name} --help" for name in COMMAND_NAMES),
    ]
)

MAKING: Final = r"""
catalog init shop.catalog
catalog init fast.catalog --backbone tiny --views fast
catalog init standard.catalog --backbone tiny
catalog init thorough.catalog --backbone tiny --views thorough --json
catalog init odd.catalog --backbone tiny --views odd
catalog init odd.catalog --backbone odd
catalog init odd.catalog --backbone ''
catalog init none/odd.catalog --backbone tiny
catalog init . --backbone tiny
catalog init {long} --backbone tiny
catalog init odd.catalog --backbone ../bad/text.jpg
catalog items --catalog fast.catalog [--json]
catalog predict ../test/cup/30.png --catalog fast.catalog [--json]
catalog nearest ../test/cup/30.png --catalog fast.catalog [--json]
catalog audit --catalog fast.catalog [--json]
catalog undo --catalog fast.catalog
catalog export none.json --catalog fast.catalog
show none.json
catalog add-class lid ../new/lid/0.png
catalog add lid ../new/lid/0.png ../new/lid/1.jpg
catalog add lid ../new/lid --json
catalog add lid - <<< ../new/urn/0.png\n../new/urn/1.jpg\n\n
catalog add lid - --json <<< ../new/urn/1.jpg\r\n../new/urn/2.webp\r\n
catalog add lid ../tree/cup/0.png
catalog add lid ../tree/cup/1.png --move --json
catalog add-class urn ../new/urn/3.bmp ../tree/jug --move --head exact
catalog undo
catalog undo --json
catalog undo --json
catalog add-class ewer ../new/ewer --dry-run [--json]
catalog add-class cup ../new/ewer --dry-run
catalog add-class ewer ../new/ewer --json
catalog import ../new
catalog import ../new --json
catalog import ../test --split 6/4/2 --part validation --seed 3 --json
catalog import ../new --move --head none
write shelf/a/cup/x.txt <<< no picture
copy ../test/cup/30.png shelf/a/cup/1.png
copy ../test/cup/31.png shelf/b/cup/1.png
copy ../test/jug/30.jpg shelf/1.jpg
catalog import shelf --json
catalog import shelf --move
write list.csv <<< path,label,box\n../new/urn/0.png,vat,"4,4,30,30"\n../new/urn/1.jpg,vat,\n
catalog import list.csv [--json]
write list.jsonl <<< {"path": "../new/urn/2.webp", "label": "vat", "box": "0,0,20,20"}\n
catalog import list.jsonl [--json]
catalog import - <<< path,label\n../test/mug/30.bmp,Vat Ø\n
catalog import - --json <<< {"path": "../test/mug/31.bmp", "label": "Vat Ø"}\n
catalog labels [--json]
catalog items --label vat
list
"""

ASKING: Final = r"""
catalog nearest ../test/cup/30.png ../test/jug/30.jpg -k 2 [--json]
catalog nearest ../test/pan/30.webp --k 99
catalog nearest ../test/pan/30.webp --box 0,0,32,24 -k 3 [--json]
catalog nearest - -k 1 < ../test/mug/30.bmp
catalog nearest - -k 1 --json < ../test/mug/30.bmp
catalog nearest ../test/cup/30.png --html sheet.html -k 3
show sheet.html
catalog nearest ../test/cup/30.png ../bad/empty.jpg --box 0,0,32,24 --html sheet.html --json
show sheet.html
catalog predict ../test/cup/30.png [--json]
catalog predict ../test/cup/30.png ../test/tray/30.png ../test/mug/30.bmp --top 2 [--json]
catalog predict ../test/pan/30.webp ../test/pan/31.webp --precision 0.5 [--json]
catalog predict ../test/tray/30.png --strict
catalog predict ../test/cup/30.png --box 4,4,40,40 --json
catalog predict ../strange/1.jpg --strict [--json]
catalog predict ../strange --strict
catalog predict - --json < ../test/jug/31.jpg
catalog predict - - < ../test/jug/31.jpg
catalog predict ../strange/0.png ../strange/1.jpg ../strange/2.webp ../strange/3.bmp --keep-unknown
catalog predict ../near/0.png ../near/1.png ../near/2.png --keep-unknown --json
catalog audit [--json]
catalog evaluate ../test [--json]
catalog evaluate ../test --precision 0.5 --split 1/1 --part test --seed 5
catalog evaluate ../new
catalog evaluate ../all [--json]
catalog evaluate ../test --html mistakes.html
show mistakes.html
write list.csv <<< path,label\n../test/cup/30.png,cup\n../bad/text.jpg,cup\n../new/lid/0.png,lid\n
catalog evaluate list.csv [--json]
catalog feedback ../test/cup/30.png --label pan
catalog feedback ../test/cup/30.png --label cup
catalog feedback ../test/pan/30.webp --label pan --json
catalog feedback ../test/pan/31.webp --label pan --note-only [--json]
catalog feedback ../new/lid/0.png --label lid
catalog feedback ../new/lid/1.jpg --label lid --box 4,4,40,40 --json
catalog feedback ../bad/text.jpg --label cup
catalog feedback ../test/cup/31.png --label CUP
catalog undo
delete shop.catalog.cache
catalog nearest ../test/cup/30.png -k 1
list
"""

LOOKING: Final = r"""
catalog labels [--json]
catalog items [--json]
catalog items --label jug [--json]
catalog items --label JUG
catalog items --label none
catalog info [--json]
catalog history [--json]
catalog history --last 2
catalog audit [--json]
catalog verify [--json]
catalog doctor [--json]
catalog doctor --catalog ../bad/text.jpg
CATALOG_CACHE=../bad/text.jpg catalog doctor
CATALOG_CACHE=none catalog nearest ../test/cup/30.png
CATALOG_CACHE=none catalog model list [--json]
copy ../tree/cup/0.png twins/0.png
copy ../twins/cup.jpg twins/1.jpg
catalog add-class beaker twins/1.jpg ../test/cup/30.png
catalog move pan 9 10
catalog audit [--json]
list
"""

CHANGING: Final = r"""
catalog remove 1
catalog remove 2 3 --json
catalog remove 1
catalog remove 99999999999999999999999999
catalog remove 4 4
catalog remove 5 6 7 8
catalog undo
catalog undo --json
catalog remove-class jug <<< n\n
catalog remove-class jug <<< y\n
catalog remove-class mug --yes --json
catalog remove-class pan --inexact --yes
catalog undo
catalog undo --json
catalog undo
catalog undo
catalog undo
catalog move pan 1 9
catalog move pan 2 3 --json
catalog move lid 4
catalog move lid 4 --new
catalog move lid 5 --new --json
catalog move '' 7 --new
catalog move pan 10 11 12 13 14 15 16
catalog undo
catalog rename-class lid cover
catalog rename-class cover 'Deckel Ü' --json
catalog rename-class 'Deckel Ü' 'deckel u'
catalog rename-class 'deckel u' 'deckel u'
catalog rename-class cup jug
catalog rename-class cup '[/m]'
catalog merge-classes mug pot --into tray
catalog merge-classes jug 'deckel u' --into pan --json
catalog merge-classes pan --into pan
catalog labels
catalog undo
catalog undo --json
catalog history --json
list
"""

FORGETTING: Final = r"""
catalog forget 1 <<< n\n
catalog forget 1 2 <<< y\n
catalog forget 3 --yes
catalog forget 4 --yes --json
catalog undo
catalog forget --label jug --yes
catalog forget --label jug --yes
catalog forget --label mug --label pot 5 --yes --json
catalog forget --picture ../tree/cup/5.png --yes
catalog forget --staged --yes
catalog forget --rewrite [--json]
catalog forget 7 8 --yes
catalog forget --label cup --yes
catalog import ../tree
catalog compact cup <<< y\n
catalog compact jug mug --yes --json
catalog predict ../test/cup/30.png
catalog nearest ../tree/cup/0.png -k 2 --json
catalog remove-class cup --yes --inexact
catalog remove-class jug --yes --inexact --json
catalog remove 80
catalog forget --label mug --yes
catalog export left.npz
show left.npz
catalog compact --yes
catalog compact --yes --json
catalog audit
catalog evaluate ../test
catalog verify --json
list
"""

KEEPING: Final = r"""
catalog backup monday.catalog
catalog backup monday.catalog
catalog backup monday.catalog --replace
catalog backup tuesday.catalog --json
catalog backup .
catalog backup shop.catalog
catalog add-class lid ../new/lid
catalog restore monday.catalog <<< n\n
catalog restore monday.catalog <<< y\n
catalog restore tuesday.catalog --yes --json
catalog restore monday.catalog --catalog new.catalog
catalog restore shop.catalog --yes
catalog restore ../bad/text.jpg --yes
catalog restore . --yes
catalog init other.catalog --backbone tiny --views fast
catalog add-class lid ../new/lid --catalog other.catalog
catalog restore other.catalog --yes
catalog add-class jug ../test/jug ../tree/cup/0.png --catalog other.catalog
catalog add-class CUP ../test/cup --catalog other.catalog
catalog merge other.catalog
catalog merge other.catalog --json
catalog merge other.catalog --move
catalog merge shop.catalog
catalog init wide.catalog --backbone tiny
catalog merge wide.catalog
catalog undo --json
catalog export items.parquet
catalog export items.parquet --replace --json
show items.parquet
catalog export items.npz [--json]
show items.npz
catalog export labels.json [--json]
show labels.json
catalog export arrays --format npz --json
catalog export table --format parquet
catalog export names.txt --format labels
catalog export folder --format projector
catalog export folder --format projector
catalog export again --format projector --json
show folder/metadata.tsv
show folder/tensors.tsv
show folder/projector_config.pbtxt
catalog export items.txt
catalog export folder --format npz --replace
list
"""

HEADS: Final = r"""
catalog train-head --head exact [--json]
catalog train-head --head frozen [--json]
catalog add-class lid ../new/lid
catalog predict ../new/lid/0.png
catalog info
catalog train-head --head none [--json]
catalog predict ../test/cup/30.png [--json]
catalog undo
catalog undo
catalog forget 1 --yes
catalog remove-class cup --yes
catalog forget --staged --yes
catalog verify
catalog init few.catalog --backbone tiny --views fast
catalog train-head --catalog few.catalog --head frozen
catalog add-class cup ../tree/cup --catalog few.catalog --head frozen
catalog train-head --catalog few.catalog
list
"""

DOCUMENT: Final = r"""
catalog train-head --epochs 2 --batch 16 --dropout 0.25 --learning-rate 0.01 --seed 3 --json
catalog train-head --epochs 1 --validation-split 0 --plot curves.svg
catalog add-class lid ../new/lid
catalog train-head --epochs 1 --replay none --start random --force
catalog predict ../test/cup/30.png
catalog train-head --epochs 1 --replay gan
catalog train-head --epochs 1 --replay gaussian --json
catalog compact jug --yes
catalog history
list
"""

MODELS: Final = r"""
delete {cache}
catalog model list [--json]
catalog nearest ../test/cup/30.png
catalog init plain.catalog
catalog model import ../networks/tiny.tflite
catalog model import ../networks/tiny.tflite --json
catalog model import ../networks/tiny.tflite --name imagenet
catalog model import ../networks/tiny.tflite --name '[/m]'
catalog model import ../networks/tiny --name folder --json
catalog model import ../networks/none
catalog model import ../bad/text.jpg
catalog model import ../networks/cut.tar.gz
catalog model list [--json]
CATALOG_HUB_URL={hub} catalog model fetch someone/tiny/1 --json
CATALOG_HUB_URL={hub} catalog model fetch someone/other/1
CATALOG_HUB_URL={hub} catalog model fetch someone/nothing/1 --accept-unverified
CATALOG_HUB_URL={hub} catalog model fetch
CATALOG_HUB_URL={hub} catalog model fetch --accept-unverified
CATALOG_HUB_URL=http://127.0.0.1:9 catalog model fetch nobody/here/1 [--json]
catalog model fetch ftp://127.0.0.1/network
zero {cache}/models/{tiny}.tflite 5000 900
catalog model list
catalog doctor
catalog nearest ../test/cup/30.png -k 1
catalog model import ../networks/tiny.tflite
catalog nearest ../test/cup/30.png -k 1
write {cache}/models/{tiny}.json <<< no record
catalog model list
list
"""

SHIPPED: Final = r"""
catalog init shipped.catalog --backbone starter
catalog import ../test --catalog shipped.catalog --json
catalog nearest ../test/cup/30.png -k 3 --catalog shipped.catalog [--json]
catalog predict ../test/cup/30.png --catalog shipped.catalog [--json]
catalog doctor --catalog shipped.catalog
catalog merge shipped.catalog
catalog init fast.catalog --backbone starter --views fast --json
list
"""

COMPLETION: Final = r"""
catalog add-class 'Blue Train' ../new/lid
_CATALOG_COMPLETE=complete_bash COMP_WORDS='catalog\nremove-class\n' COMP_CWORD=2 catalog
_CATALOG_COMPLETE=complete_bash COMP_WORDS='catalog\nremove-class\nBlu' COMP_CWORD=2 catalog
_CATALOG_COMPLETE=complete_bash COMP_WORDS='catalog\nlabels\n--' COMP_CWORD=2 catalog
_CATALOG_COMPLETE=complete_bash COMP_WORDS='catalog\nlabels\n--catalog\nsh' COMP_CWORD=3 catalog
_CATALOG_COMPLETE=complete_zsh _TYPER_COMPLETE_ARGS='catalog ' catalog
_CATALOG_COMPLETE=complete_zsh _TYPER_COMPLETE_ARGS='catalog items --label ' catalog
_CATALOG_COMPLETE=complete_zsh _TYPER_COMPLETE_ARGS='catalog init x --backbone ' catalog
_CATALOG_COMPLETE=complete_zsh _TYPER_COMPLETE_ARGS='catalog labels --catalog sh' catalog
_CATALOG_COMPLETE=complete_fish _TYPER_COMPLETE_ARGS='catalog train-head --' catalog
_CATALOG_COMPLETE=complete_fish _TYPER_COMPLETE_ARGS='catalog train-head --replay ' catalog
bash 'catalog --show-completion; exit $?'
bash 'catalog --install-completion; exit $?'
list {home}
"""

CHAPTERS: Final = {
    "head in Keras": DOCUMENT,
    "models": MODELS,
    "shipped network": SHIPPED,
    "help": HELP,
    "making": MAKING,
    "asking": ASKING,
    "looking": LOOKING,
    "changing": CHANGING,
    "forgetting": FORGETTING,
    "keeping": KEEPING,
    "heads": HEADS,
    "completion": COMPLETION,
}
"""Every chapter by its name; those that take longest come first."""
