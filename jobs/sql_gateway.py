"""The SQL gateway: the tables and views for JDBC clients, read-only, until a signal ends it."""

import logging
from collections.abc import Sequence

from wattcast.errors import exit_on_user_error
from wattcast.lake.migration import inspect_tables
from wattcast.lake.sql_gateway import NAME, sql_gateway
from wattcast.logs import configure_logging
from wattcast.ports import check_port
from wattcast.runtime.context import opened
from wattcast.runtime.options import gateway_options
from wattcast.runtime.session import remove_secrets
from wattcast.runtime.supervision import Stop
from wattcast.settings import settings

log = logging.getLogger("wattcast")


@exit_on_user_error()
def main(argv: Sequence[str] | None = None) -> None:
    options = gateway_options(argv)
    configure_logging()
    remove_secrets(settings())
    check_port(NAME, options.host, options.port)  # before Spark starts, which takes a while
    with (
        Stop().on_signals() as stop,
        opened(name="sql-gateway", with_broker=False, prepare=inspect_tables) as run,
        sql_gateway(run.lake, host=options.host, port=options.port),
    ):
        log.info("SQL gateway: jdbc:hive2://%s:%s/ (Ctrl-C ends it)", options.host, options.port)
        stop.wait()


if __name__ == "__main__":
    main()
