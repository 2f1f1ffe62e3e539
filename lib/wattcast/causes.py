"""Why something failed: the root cause of an error of Spark, Kafka or the system, with a remedy where there is one.

An error in a batch function crosses Python, Java and Python again, so its cause stands some hundred lines below its first line.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Cause:
    """A cause by the pattern of its message; `{}` in the sentence is the file or table that the pattern captures."""

    pattern: str
    sentence: str
    is_of_broker: bool = False


FILE = r"(?:file:(?://)?)?(?P<{}>/[^\s:;()'\"]*[^\s:;()'\".]|s3a?://[^\s;()'\"]*[^\s;()'\".])"
CAUSES = (
    Cause(
        r"No space left on device|Disk quota exceeded|There is not enough space on the disk",
        "there is no space left on the disk: free some or enlarge it, then start again; nothing is lost",
    ),
    Cause(
        r"java\.lang\.OutOfMemoryError|GC overhead limit exceeded|\bMemoryError\b|Cannot allocate memory"
        r"|exceeded memory limit",
        "the memory is not enough: lower batch.max_offsets_per_batch or batch.max_files_per_batch, or give Spark more "
        "(spark.driver.memory), then start again",
    ),
    Cause(
        rf"(?:Cannot create|Mkdirs failed to create) {FILE.format('folder')}"
        rf"|(?:{FILE.format('file')}[^\n]*)?(?:Read-only file system|\(Permission denied\)|AccessDenied|AccessControlException)",
        "{} cannot be written: give this user the right to write there, and do not mount it read-only",
    ),
    Cause(
        r"DELTA_SCHEMA_CHANGED?_\w+",
        "the columns of a table that it reads have changed: start it again; if that ends in the same way, remove its checkpoint, "
        "and it continues after the last row of its own table",
    ),
    Cause(
        r"DELTA_(?:SOURCE_IGNORE_DELETE|SOURCE_TABLE_IGNORE_CHANGES|VERSIONS_NOT_CONTIGUOUS|TRUNCATED_TRANSACTION_LOG"
        r"|UNSUPPORTED_FEATURES?_\w+|INVALID_PROTOCOL_VERSION|STATE_RECOVER_ERROR"
        r"|CANNOT_MODIFY_APPEND_ONLY)|FAILED_READ_FILE[^\n]*/_delta_log/",
        "another program has changed the log of a table, or it is damaged: take out the commit that Wattcast did not write, as "
        "the runbook describes",
    ),
    Cause(
        rf"{FILE.format('parquet')}[^\n]* is not a Parquet file|(?:FAILED_READ_FILE|CANNOT_READ_FILE)[^\n]*?{FILE.format('file')}"
        rf"|Could not read footer[^\n]*{FILE.format('footer')}",
        "the file {} is damaged or cut: restore it from a backup, or restore its table, as the runbook describes",
    ),
    Cause(
        r"StreamMetadata|Incomplete log file|Failed to read log file|MISSING_METADATA_FILE"
        r"|STREAMING_CHECKPOINT|No content to map due to end-of-input",
        "the checkpoint is damaged: remove its folder and start the job again, which continues after the last row of its table",
    ),
    Cause(
        r"kafka\.common\.errors\.(?:Timeout|Disconnect|Network|BrokerNotAvailable|Retriable\w*)Exception"
        r"|Timed out waiting for a node assignment|Expiring \d+ record|Kafka(?:Timeout|Connection)Error|NoBrokersAvailable"
        r"|not present in metadata after|BrokerUnreachable",
        "the Kafka broker did not answer in time: check that it runs and that this machine reaches it, then start again",
        is_of_broker=True,
    ),
)

HEADING = re.compile(
    r"^\s*(?:Caused by: |: )?((?:[A-Za-z_$][\w$]*\.)*[A-Z][\w$]*(?:Error|Exception|Interrupt)\b.*|wattcast\.[\w.]+: .*)$",
    re.M,
)
WRAPPERS = re.compile(
    r"Py4J\w+|StreamingQueryException|PythonException|SparkException: (?:Job aborted|Task failed|Exception thrown in)"
)


def known_cause(error: BaseException) -> Cause | None:
    """The cause in the table that an error, or one that led to it, is an instance of."""
    match = _match(error)
    return match[0] if match else None


def explanation(error: BaseException) -> str:
    """The root cause in one sentence, without a full stop: from the table with its remedy, else the message of the error."""
    cause_and_match = _match(error)
    if cause_and_match is None:
        return root_message(error)
    cause, match = cause_and_match
    place = next((value for value in match.groupdict().values() if value), "a file or folder")
    return cause.sentence.format(place)


def root_message(error: BaseException) -> str:
    """The class and the message, in one line, of the error with which it began."""
    headings = [line for line in HEADING.findall(_text(error)) if not WRAPPERS.search(line)]
    line = (
        headings[-1]
        if headings
        else next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
    )
    own_message = re.sub(r"^wattcast\.[\w.]+: ", "", line.strip())
    return re.sub(r"^(?:[\w$]+\.)+", "", own_message).rstrip(".")


def _match(error: BaseException) -> tuple[Cause, re.Match[str]] | None:
    text = _text(error)
    matches = ((cause, re.search(cause.pattern, text)) for cause in CAUSES)
    return next(((cause, match) for cause, match in matches if match), None)


def _text(error: BaseException) -> str:
    """The messages of an error and of those that led to it; Spark's contain the Java side."""
    return "\n".join(f"{type(link).__name__}: {link}" for link in reversed(list(_chain(error))))


def _chain(error: BaseException) -> Iterator[BaseException]:
    link: BaseException | None = error
    while link is not None:
        yield link
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)
