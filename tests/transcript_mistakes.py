"""What the transcript runs that is wrong: bad usage, broken pictures and damaged catalogues.

The lines are as in ``transcript_commands.py``.
"""

from __future__ import annotations

from typing import Final

USAGE: Final = r"""
catalog nonsense
catalog [/m]
catalog labels --nonsense
catalog init
catalog add-class lid
catalog move cup
catalog merge-classes cup
catalog remove-class
catalog forget
CATALOG_PATH= catalog labels
catalog labels --catalog
catalog nearest ../test/cup/30.png -k many
catalog nearest ../test/cup/30.png -k 0
catalog nearest ../test/cup/30.png -k [/m]
catalog predict ../test/cup/30.png --top 0
catalog predict ../test/cup/30.png --top 99999999999999999999
catalog predict ../test/cup/30.png --precision nan
catalog evaluate ../test --precision -1
catalog remove seven
catalog remove [/m]
catalog predict ../test/cup/30.png --box 1,2,3
catalog predict ../test/cup/30.png --box 60,0,9,9 [--json]
catalog feedback ../test/cup/30.png --label cup --box 1,2
catalog import ../tree --split 80/20
catalog import ../tree --split 80/20 --part validation
catalog import ../tree --split 9999/1 --part test
catalog import ../tree --split 80/20 --part test --seed -1
catalog train-head --head odd
catalog train-head --head [/m]
catalog train-head --head exact --epochs 1
catalog train-head --epochs 0
catalog train-head --dropout 1
catalog train-head --plot curves.txt
list
"""

BAD_PICTURES: Final = r"""
catalog add-class new ../bad/text.jpg [--json]
catalog add-class new ../test/cup/30.png ../bad/text.jpg none.jpg
catalog add new ../bad --json
catalog nearest none.jpg ../bad/text.jpg ../bad/empty.jpg ../bad/truncated.jpg ../bad [--json]
catalog nearest ../bad/long.png ../bad/chunks.png ../bad/foreign.heic ../bad/still.gif -k 1
catalog nearest ../bad/grey.png ../bad/deep.png ../bad/clear.png ../bad/dot.png -k 1
catalog nearest {long} -k 1
catalog predict none.jpg ../bad/text.jpg ../test/cup/30.png ../bad/folder.jpg [--json]
catalog evaluate ../bad [--json]
catalog import ../mixed [--json]
catalog feedback ../bad/truncated.jpg --label cup
catalog add cup - <<< none.jpg\n../bad/text.jpg\n
catalog add cup - < ../bad/truncated.jpg
catalog add-class other - - ../new/lid/0.png <<< ../new/lid/1.jpg\n
list
"""

BAD_LISTS: Final = r"""
catalog import ../nothing
catalog import - <<< ''
catalog import - <<< path,label\n
catalog import - <<< file,class\na.png,cup\n
catalog import - <<< path,label\n,cup\n
catalog import - <<< path,label\na.png,\n
catalog import - <<< path,label\n"a.png,cup\n
catalog import - <<< path,label,box\n../new/lid/0.png,lid,"1,2"\n
catalog import - <<< path,label,box\n../new/lid/0.png,lid,"0,0,999,999"\n
catalog import - <<< path,label\nnone.png,lid\n../new/lid/0.png,lid\n../new/lid/1.jpg,CUP\n
catalog import - --json <<< path,label\nnone.png,lid\n../tree/cup/0.png,lid\n../new/lid/1.jpg,CUP\n
catalog import - <<< {"path": "a.png", "label": 7}\n
catalog import - <<< {"path": "a.png", "label": "cup"\n
catalog import - <<< path,label\n../new/lid/2.webp,[/m]\n../new/lid/3.bmp,\u0007\n
catalog import - < ../test/cup/30.png
write list.csv <<< path,label\nnone.png\n
catalog import list.csv
write list.jsonl <<< {"path": 1, "label": "cup"}\n
catalog import list.jsonl
write bom.csv <<< \ufeffpath,label\n../new/urn/0.png,urn\n
catalog import bom.csv
list
"""

BAD_NAMES: Final = r"""
catalog add-class '' ../new/lid
catalog add-class {long} ../new/lid
catalog add-class CUP ../new/lid
catalog add-class 'cúp ' ../new/lid
catalog add-class '[/m]' ../new/lid
catalog add '[/n]' ../new/ewer
catalog predict ../new/lid/0.png
catalog items --label '[/m]' [--json]
catalog add-class '  Blue   Train ' ../strange
catalog rename-class 'Blue Train' "O'Brien \"x\" \$HOME"
catalog remove-class "O'Brien \"x\" \$HOME"
catalog remove-class '[/m]' <<< y\n
catalog move '[/m]' 1 2
catalog history
catalog export labels.json
show labels.json
list
"""

BAD_CATALOGUES: Final = r"""
catalog labels --catalog none.catalog
catalog labels --catalog ../bad/text.jpg
catalog labels --catalog ../bad/empty.jpg
catalog labels --catalog .
catalog labels --catalog '[/m]'
catalog nearest ../test/cup/30.png --catalog none.catalog
catalog import ../test --catalog none.catalog
catalog merge shop.catalog --catalog none.catalog
catalog backup copy.catalog --catalog none.catalog
sql other.catalog "CREATE TABLE thing (name TEXT)"
catalog labels --catalog other.catalog
copy shop.catalog newer.catalog
sql newer.catalog "PRAGMA user_version = 9"
catalog labels --catalog newer.catalog
catalog doctor --catalog newer.catalog
catalog restore newer.catalog --yes
copy shop.catalog wal.catalog
sql wal.catalog "PRAGMA journal_mode = WAL"
catalog doctor --catalog wal.catalog
catalog labels --catalog wal.catalog
copy ../golden/format-1.catalog old.catalog
catalog doctor --catalog old.catalog
catalog info --catalog old.catalog [--json]
catalog history --catalog old.catalog [--json]
catalog verify --catalog old.catalog
catalog nearest ../test/cup/30.png --catalog old.catalog
copy ../golden/format-2-document.catalog document.catalog
catalog verify --catalog document.catalog --json
copy ../golden/format-2-frozen.catalog frozen.catalog
catalog compact --yes --catalog frozen.catalog
catalog merge old.catalog --catalog frozen.catalog
list
"""

DAMAGED: Final = r"""
catalog backup whole.catalog
copy shop.catalog one.catalog
sql one.catalog "UPDATE descriptor SET value = zeroblob(128) WHERE id = 1"
catalog verify --catalog one.catalog [--json]
catalog predict ../test/cup/30.png --catalog one.catalog
catalog merge one.catalog
catalog export items.npz --catalog one.catalog
catalog restore whole.catalog --catalog one.catalog --yes
copy shop.catalog lost.catalog
sql lost.catalog "DELETE FROM descriptor WHERE id <= 20"
catalog nearest ../tree/cup/0.png -k 2 --catalog lost.catalog
copy shop.catalog nameless.catalog
sql nameless.catalog "UPDATE label SET name = '' WHERE slot = 2"
catalog verify --catalog nameless.catalog
catalog labels --catalog nameless.catalog
copy shop.catalog event.catalog
sql event.catalog "UPDATE event SET detail = 'x' WHERE id = 2"
catalog history --catalog event.catalog
copy shop.catalog half.catalog
cut half.catalog 100000
catalog labels --catalog half.catalog
catalog doctor --catalog half.catalog
copy shop.catalog head.catalog
cut head.catalog 50
catalog labels --catalog head.catalog
copy shop.catalog start.catalog
zero start.catalog 0 4096
catalog labels --catalog start.catalog
copy shop.catalog middle.catalog
zero middle.catalog 4096 60000
catalog verify --catalog middle.catalog --json
catalog restore whole.catalog --catalog middle.catalog --yes
copy shop.catalog end.catalog
zero end.catalog 120000 20000
catalog verify --catalog end.catalog
catalog predict ../test/cup/30.png
zero shop.catalog.cache/* 200 64
catalog verify [--json]
zero shop.catalog.cache/* 200 64
catalog predict ../test/cup/30.png
cut shop.catalog.cache/* 10
catalog nearest ../test/cup/30.png -k 1
catalog verify
delete shop.catalog.cache
write shop.catalog.cache <<< a file where a folder should be
catalog predict ../test/cup/30.png
catalog verify
list
"""

LOCKED: Final = r"""
lock shop.catalog IMMEDIATE
catalog labels
catalog predict ../test/cup/30.png
catalog doctor
catalog remove 1
unlock shop.catalog
lock shop.catalog EXCLUSIVE
catalog doctor
catalog labels
unlock shop.catalog
catalog remove 1
list
"""

CHAPTERS: Final = {
    "locked": LOCKED,
    "usage": USAGE,
    "bad pictures": BAD_PICTURES,
    "bad lists": BAD_LISTS,
    "bad names": BAD_NAMES,
    "bad catalogues": BAD_CATALOGUES,
    "damaged": DAMAGED,
}
"""Every chapter by its name."""
