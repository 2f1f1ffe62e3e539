"""SQL that can only read, and the gateway: Spark's own Thrift server over the tables and views, for JDBC clients.

A session that is to read refuses every command that is not one of reading, files by their paths, programs and Java's methods:
`ReadOnly.java`, compiled here by the compiler that Spark has for its own code, is a check of Spark's analyser.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

from wattcast.lakehouse import Lakehouse
from wattcast.ports import check_port

NAME = "The SQL gateway"
READ_ONLY = "wattcast.ReadOnly"


def reading(lake: Lakehouse) -> SparkSession:
    """A session of its own that reads the tables and views by name, and nothing else; so is every session made after it."""
    let_only_read(lake)
    return lake.spark.newSession()


def let_only_read(lake: Lakehouse) -> None:
    """From now on every new session of this application knows the tables and views, and can only read."""
    lake.publish_views()
    lake.spark._jsparkSession.extensions().injectCheckRule(_read_only(lake.spark))


@contextmanager
def serving(lake: Lakehouse, *, host: str, port: int) -> Iterator[None]:
    """Serve the tables and views of a lake to JDBC clients meanwhile, to each in a session of its own.

    Raises:
        PortTaken, HostUnknown: it cannot listen there.
    """
    check_port(NAME, host, port)
    jvm: Any = lake.spark._jvm
    let_only_read(lake)
    # Of sessions to come; rows go to a client as they are made, so that a great result needs no great heap.
    lake.spark._jsc.sc().conf().set("spark.sql.thriftServer.incrementalCollect", "true")
    jvm.java.lang.System.setProperty("hive.server2.thrift.bind.host", host)
    jvm.java.lang.System.setProperty("hive.server2.thrift.port", str(port))
    thrift = jvm.org.apache.spark.sql.hive.thriftserver.HiveThriftServer2
    server = thrift.startWithSparkSession(lake.spark._jsparkSession, False)
    try:
        yield
    finally:
        server.stop()


def _read_only(spark: SparkSession) -> Any:
    """The check, compiled into the JVM of the session."""
    jvm: Any = spark._jvm
    gateway: Any = spark.sparkContext._gateway
    compiler = jvm.org.codehaus.janino.SimpleCompiler()
    compiler.setParentClassLoader(jvm.java.lang.Thread.currentThread().getContextClassLoader())
    compiler.cook(Path(__file__).with_name("ReadOnly.java").read_text(encoding="utf-8"))
    constructor = compiler.getClassLoader().loadClass(READ_ONLY).getDeclaredConstructor(gateway.new_array(jvm.Class, 0))
    return constructor.newInstance(gateway.new_array(jvm.Object, 0))
