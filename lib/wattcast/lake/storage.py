"""Files under a folder or URI, through Spark's file systems."""

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


class Storage(Protocol):
    """Files by their path under one root."""

    @property
    def root(self) -> str: ...

    def sizes(self, folder: str) -> dict[str, int]:
        """The files directly in a folder: bytes by name. Empty if there is no such folder."""

    def folders(self, folder: str) -> list[str]:
        """The names of the folders directly in a folder."""

    def read(self, file: str) -> bytes: ...


class SparkStorage:
    """Files as Spark reads and writes them."""

    def __init__(self, spark: "SparkSession", root: str) -> None:
        self._jvm: Any = spark._jvm
        self._conf, self.root = spark._jsparkSession.sessionState().newHadoopConf(), root

    def sizes(self, folder: str) -> dict[str, int]:
        return {status.getPath().getName(): status.getLen() for status in self._entries(folder) if status.isFile()}

    def folders(self, folder: str) -> list[str]:
        return sorted(status.getPath().getName() for status in self._entries(folder) if status.isDirectory())

    def read(self, file: str) -> bytes:
        path, system = self._path_and_system(file)
        stream = system.open(path)
        try:
            return bytes(self._jvm.org.apache.commons.io.IOUtils.toByteArray(stream))
        finally:
            stream.close()

    def _entries(self, folder: str) -> list[Any]:
        path, system = self._path_and_system(folder)
        return list(system.listStatus(path)) if system.exists(path) else []

    def _path_and_system(self, path: str) -> tuple[Any, Any]:
        hadoop_path = self._jvm.org.apache.hadoop.fs.Path(f"{self.root}/{path}")
        return hadoop_path, hadoop_path.getFileSystem(self._conf)
