"""The options of `wattcast load`."""

from pathlib import Path
from typing import Annotated

import typer

from wattcast.meter_files.mapping import ROLES, UNITS

Files = Annotated[
    list[Path], typer.Argument(help="CSV, Excel (.xlsx), Parquet, lines of JSON, Green Button XML or NEM12.")
]
Map = Annotated[
    list[str] | None,
    typer.Option("--map", metavar="COLUMN=HEADER", help=f"The header of a column: {', '.join(ROLES)}. Repeatable."),
]
Ignore = Annotated[list[str] | None, typer.Option(metavar="HEADER", help="A column that is not used. Repeatable.")]
Building = Annotated[str, typer.Option(help="Id of the building, for a file without ids; meters become its devices.")]
Timezone = Annotated[str, typer.Option(help="Zone of times without an offset: Europe/Berlin, UTC or +01:00.")]
DayFirst = Annotated[bool | None, typer.Option("--dayfirst/--monthfirst", help="Whether 05/01 is 5 January or 1 May.")]
Decimal = Annotated[str, typer.Option(metavar="SIGN", help="Decimal sign, a dot or a comma.")]
Separator = Annotated[str, typer.Option(metavar="SIGN", help="Separator of the fields; `tab` for a tab.")]
Encoding = Annotated[str, typer.Option(metavar="NAME", help="Encoding of the text, such as cp1252.")]
Sheet = Annotated[str, typer.Option(metavar="NAME", help="Sheet of a workbook.")]
Wide = Annotated[bool, typer.Option("--wide", help="Each column of numbers is a meter.")]
DayRows = Annotated[bool, typer.Option("--day-rows", help="Each row is a day, with a column per time of day.")]
Unit = Annotated[str, typer.Option(help=f"Unit of the energy or power: {', '.join(UNITS)}.")]
Register = Annotated[
    bool | None,
    typer.Option("--register/--usage", help="Whether values are a cumulative register or the use of an interval."),
]
EndStamps = Annotated[
    bool | None,
    typer.Option("--end-stamps/--start-stamps", help="Whether a time is the end or the start of its interval."),
]
Interval = Annotated[
    int | None, typer.Option(min=1, max=60, metavar="MINUTES", help="Minutes between readings. Default: detected.")
]
SkipBadRows = Annotated[bool, typer.Option("--skip-bad-rows", help="Leave out and count rows that cannot be read.")]
MappingFile = Annotated[Path | None, typer.Option("--mapping", help="Read as this file of --save-mapping says.")]
SaveMapping = Annotated[Path | None, typer.Option(help="Write how the file was read to this YAML file.")]
To = Annotated[Path | None, typer.Option(help="Write the readings to this .parquet or .csv file; do not send them.")]
OnlyPreview = Annotated[bool, typer.Option("--preview", help="Only show how the files are read.")]
BuildingsFile = Annotated[Path | None, typer.Option(help="File with metadata (CSV) to import first.")]
