"""The SQL gateway: Spark's own Thrift server over the tables and views, for JDBC clients and the tools that use them.

A client can only read. Its session refuses every command that is not one of reading, files by their paths, programs and Java's
methods: `ReadOnly.java`, compiled here by the compiler that Spark has for its own code, is a check of Spark's analyser.
"""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

from wattcast.lakehouse import Lakehouse

READ_ONLY = "wattcast.ReadOnly"


class PortTaken(OSError):
    """The gateway cannot listen where it was told to."""


def check_port(host: str, port: int) -> None:
    """Raises PortTaken unless this process could listen there."""
    try:
        with socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET):
            pass
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else error  # without the address that Python adds
        raise PortTaken(f"The SQL gateway cannot listen at {host}, port {port}: {reason}.") from error


@contextmanager
def serving(lake: Lakehouse, *, host: str, port: int) -> Iterator[None]:
    """Serve the tables and views of a lake to JDBC clients meanwhile, to each in a session of its own.

    Raises:
        PortTaken: another program listens there, or the host is not one of this machine.
    """
    check_port(host, port)
    jvm: Any = lake.spark._jvm
    lake.publish_views()
    lake.spark._jsparkSession.extensions().injectCheckRule(_read_only(lake.spark))
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
