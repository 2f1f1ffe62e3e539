"""What a header means: the role of its column, in five languages, and the unit, sign and kind that it names."""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches

from wattcast.meter_files.mapping import UNITS

WORDS = {
    "measured_at": """
        timestamp | measured at | mtu | datum von | datetime | date time | date and time | time stamp | ts | start | from |
        begin | start time | start date | interval start | period start | start datetime | zeitstempel | datum
        uhrzeit | datum zeit | datum und uhrzeit | datum und zeit | zeitpunkt | messzeitpunkt | von | beginn |
        startzeit | horodatage | horodate | date heure | date et heure | debut | fecha hora | fecha y hora |
        marca de tiempo | inicio | desde | datum tijd | datum en tijd | tijdstip | van | last changed |
        reading datetime | time utc | utc | utc time
    """,
    "interval_end": """
        datum bis | end | to | until | end time | end date | interval end | period end | hour ending | interval ending |
        end datetime | ende | bis | endzeit | fin | hasta | einde | tot
    """,
    "date": """
        date | datum | tag | day | jour | fecha | dia | dag | reading date | consumption date | settlement
        date
    """,
    "time_of_day": """
        zeit von | zeit bis | uhrzeit von | uhrzeit bis | time | time of day | hour | hr | he | stunde |
        uhrzeit | zeit | heure | hora | periodo | uur | tijd | hour of day | settlement period
    """,
    "building_id": """
        building id | building | building name | premise | premises | property | gebaude | gebaeude | gebaude
        id | objekt | liegenschaft | standort | batiment | site | edificio | inmueble | gebouw | pand |
        location
    """,
    "device_id": """
        device id | device | meter id | meter | meter number | meter no | meter serial number | mpan | nmi |
        esi id | usage point | zahler | zaehler | zahlernummer | zaehlernummer | zahlpunkt | zaehlpunkt |
        zahlpunktbezeichnung | messlokation | marktlokation | melo | malo | compteur | numero compteur | prm |
        pdl | contador | cups | meternummer | ean | ean code | entity id | sensor
    """,
    "energy_usage_kwh": """
        energy usage | energy | energy consumption | consumption | usage | electricity | electricity
        consumption | import | verbrauch | energieverbrauch | stromverbrauch | verbrauchswert | energie |
        wirkarbeit | bezug | netzbezug | wert | messwert | consommation | energie active | energie active
        soutiree | energie soutiree | soutirage | consumo | consumo energia | energia | energia activa |
        verbruik | afname | valeur | valor | waarde |
        stroomverbruik | energieverbruik | value | state | kwh | wh | mwh | energy use |
        active energy | total consumption
    """,
    "temperature_c": """
        temperature | temp | outdoor temperature | outside temperature | air temperature | temperatur |
        aussentemperatur | außentemperatur | temperature exterieure | temperatura | temperatura exterior |
        temperatuur | buitentemperatuur
    """,
    "humidity_pct": """
        humidity | relative humidity | luftfeuchte | luftfeuchtigkeit | relative luftfeuchte | feuchte |
        humidite | humidite relative | humedad | humedad relativa | vochtigheid | luchtvochtigheid
    """,
    "occupancy": """
        occupancy | people | occupants | personen | belegung | occupation | ocupacion | personas | bezetting |
        aanwezigen
    """,
    "unit": """
        unit | units | uom | unit of measurement | einheit | unite | unidad | eenheid
    """,
}
POWER = """
    power | load | demand | active power | leistung | wirkleistung | last | puissance | charge | potencia |
    vermogen | kw | w | mw
"""
REGISTER = """
    register | meter reading | reading | meter register | cumulative | cumulative energy | zahlerstand |
    zaehlerstand | stand | index | releve | index compteur | lectura | lectura contador | lectura del contador
    | meterstand | tellerstand
"""
NEVER_USAGE = """
    export | exported | feed in | generation | production | einspeisung | erzeugung | lieferung | injection |
    surplus | vertido | excedente | teruglevering | opwek | status | quality | quality flag | flag |
    messstatus | qualitat | statut | estado | kwaliteit | schema version | comment | kommentar | bemerkung |
    feed | returned | reactive | reactive energy | blindarbeit | cost | kosten | price | preis
"""
CONTRACT = (
    "timestamp",
    "measured_at",
    "building_id",
    "device_id",
    "energy_usage_kwh",
    "temperature_c",
    "humidity_pct",
    "occupancy",
)
UNIT = re.compile(r"(?:^|[\s_\-/(\[])(kWh|Wh|MWh|GWh|kW|MW|W)(?:[)\]]|/\s*h[)\]]?)?$", re.IGNORECASE)
UNIT_IN_BRACKETS = re.compile(r"[(\[]\s*(kWh|Wh|MWh|GWh|kW|MW|W)\s*[)\]]", re.IGNORECASE)
FAHRENHEIT = re.compile(r"(°\s*F|\bfahrenheit|[\s_(\[]F)[)\]]?\s*$", re.IGNORECASE)


def _words(text: str) -> set[str]:
    return {" ".join(word.split()) for word in text.split("|")}


ROLE_OF = {normal: role for role, text in WORDS.items() for normal in _words(text)}
POWER_WORDS, REGISTER_WORDS, OTHER_WORDS = _words(POWER), _words(REGISTER), _words(NEVER_USAGE)


@dataclass(frozen=True)
class Header:
    """What a header says by itself. `role` is None where it is no known word."""

    text: str
    role: str | None
    unit: str | None = None
    is_register: bool = False
    is_utc: bool = False
    is_fahrenheit: bool = False
    is_end: bool = False  # a time of day at the end of its interval


def header_of(text: str) -> Header:
    """The meaning of a header. The names of the contract mean what they say there."""
    unit = unit_of(text)
    if text in CONTRACT:
        role = "measured_at" if text == "timestamp" else text
        return Header(text, role, "kWh" if role == "energy_usage_kwh" else None)
    normal = normalised(text)
    bare = normalised(re.sub(r"[(\[][^)\]]*[)\]]", " ", text))
    without_unit = re.sub(r" (in|en)$", "", normalised(UNIT.sub("", text))) if unit else bare
    candidates = [word for word in (normal, bare, without_unit) if word]
    is_utc = bool(re.search(r"\b(utc|gmt)\b", text.replace("_", " "), re.IGNORECASE))
    if is_utc:
        candidates.append(re.sub(r"\b(utc|gmt)\b", "", normal).strip())
    if any(word in OTHER_WORDS for word in candidates):
        return Header(text, None)
    if any(word in REGISTER_WORDS for word in candidates):
        return Header(text, "energy_usage_kwh", unit, is_register=True)
    if any(word in POWER_WORDS for word in candidates):
        return Header(text, "energy_usage_kwh", unit)
    by_word = next((ROLE_OF[word] for word in candidates if word in ROLE_OF), None)
    is_fahrenheit = by_word == "temperature_c" and bool(FAHRENHEIT.search(text))
    own_unit = unit if by_word == "energy_usage_kwh" else None
    is_end = by_word == "time_of_day" and normal.endswith(" bis")
    return Header(text, by_word, own_unit, is_utc=is_utc, is_fahrenheit=is_fahrenheit, is_end=is_end)


def is_never_usage(text: str) -> bool:
    """Whether a header names energy to the grid, a price or another value that is not the use of energy."""
    return bool({*normalised(text).split()} & OTHER_WORDS) or normalised(text).startswith("total")


def normalised(text: str) -> str:
    """Lower case, without accents, marks and repeated blanks."""
    plain = unicodedata.normalize("NFKD", text.strip().lower()).encode("ascii", "ignore").decode()
    return " ".join(re.sub(r"[^a-z0-9%]+", " ", plain).split())


def unit_of(text: str) -> str | None:
    """The unit in brackets or at the end of a header, or in a cell, in its usual spelling; None where there is none."""
    match = UNIT.search(text.strip()) or UNIT_IN_BRACKETS.search(text)
    by_lower = {unit.lower(): unit for unit in UNITS}
    return by_lower[match[1].lower()] if match else None


def likely_name(header: str, names: Iterable[str] = CONTRACT) -> str | None:
    """The name of the contract that a header seems to mean, where it is not one."""
    normal = normalised(header).replace(" ", "_")
    by_letters = {name.replace("_", ""): name for name in names}
    close = get_close_matches(normal.replace("_", ""), by_letters, n=1, cutoff=0.82)
    return by_letters[close[0]] if close and by_letters[close[0]] != header else None
