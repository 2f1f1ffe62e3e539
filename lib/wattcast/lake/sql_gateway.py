"""Read-only SQL, and the gateway: Spark's own Thrift server over the tables and views, for JDBC clients.

A read-only session refuses every command but queries, and in queries files by path, scripts and Java methods. The checks are
rules of Spark's analyser, `ReadOnly.java`, compiled at run time by the compiler that Spark uses for its own generated code.
Variables such as `${env:HOME}` are not replaced, and the address of a JDBC client sets nothing (`ReadOnlyGateway.java`).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

from wattcast.contracts import tables
from wattcast.lake.tables import LakeTables
from wattcast.lake.views import publish_views
from wattcast.ports import check_port

NAME = "The SQL gateway"


def read_only_session(lake: LakeTables) -> SparkSession:
    """A new session that reads the tables and views by name and does nothing else. Every later new session is read-only, too."""
    make_new_sessions_read_only(lake)
    return lake.spark.newSession()


def make_new_sessions_read_only(lake: LakeTables) -> None:
    """From now on every new session of this application has the tables and views, and can only read."""
    publish_views(lake)
    jvm: Any = lake.spark._jvm
    folders = _array(lake.spark, jvm.String, *(lake.path(table.name) for table in tables()))
    _call_java(lake.spark, "ReadOnly", "inject", lake.spark._jsparkSession, folders)
    _set_for_new_sessions(lake.spark, "spark.sql.variable.substitute", "false")


@contextmanager
def sql_gateway(lake: LakeTables, *, host: str, port: int) -> Iterator[None]:
    """Serve the tables and views of a lake to JDBC clients inside the block; each client gets its own session.

    Raises:
        PortTaken, HostUnknown: the gateway cannot listen there.
    """
    check_port(NAME, host, port)
    jvm: Any = lake.spark._jvm
    make_new_sessions_read_only(lake)
    # For new sessions: a client gets rows as they are computed, so that a large result needs no large heap.
    _set_for_new_sessions(lake.spark, "spark.sql.thriftServer.incrementalCollect", "true")
    jvm.java.lang.System.setProperty("hive.server2.thrift.bind.host", host)
    jvm.java.lang.System.setProperty("hive.server2.thrift.port", str(port))
    server = _call_java(lake.spark, "ReadOnlyGateway", "start", lake.spark._jsparkSession)
    try:
        yield
    finally:
        server.stop()


def _set_for_new_sessions(spark: SparkSession, key: str, value: str) -> None:
    spark._jsc.sc().conf().set(key, value)


def _call_java(spark: SparkSession, name: str, method: str, *arguments: Any) -> Any:
    """The result of a static method of a Java file of this folder, compiled into the JVM of the session. The method is called by
    reflection, because py4j takes two classes of one name, from two sessions after each other, for the same."""
    jvm: Any = spark._jvm
    compiler = jvm.org.codehaus.janino.SimpleCompiler()
    compiler.setParentClassLoader(jvm.java.lang.Thread.currentThread().getContextClassLoader())
    compiler.cook(Path(__file__).with_name(f"{name}.java").read_text(encoding="utf-8"))
    methods = compiler.getClassLoader().loadClass(f"wattcast.{name}").getMethods()
    java_method = next(candidate for candidate in methods if candidate.getName() == method)
    return java_method.invoke(None, _array(spark, jvm.Object, *arguments))


def _array(spark: SparkSession, kind: Any, *values: Any) -> Any:
    """A Java array."""
    gateway: Any = spark.sparkContext._gateway
    array = gateway.new_array(kind, len(values))
    for index, value in enumerate(values):
        array[index] = value
    return array
