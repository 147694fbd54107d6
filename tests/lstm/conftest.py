"""Files that a test writes, and what is read from them."""

import pyarrow as pa
import pyarrow.parquet
import pytest

from lstm.data.tables import regular
from lstm.records.errors import BadInput


@pytest.fixture(scope="session")
def shared_config(data_config):
    """Reads `y` over `t` from a file; anything in it can be set by name."""

    def make(name="a.csv", **settings):
        return data_config(**{"path": name, "time": "t", "target": "y", "lookback": 2, "horizon": 1} | settings)

    return make


@pytest.fixture
def reads(tmp_path, shared_config):
    """Writes a file (text, bytes or Arrow columns) and reads it."""

    def read(content, name="a.csv", **settings):
        if isinstance(content, dict):
            pa.parquet.write_table(pa.table(content), tmp_path / name)
        elif content is not None:
            (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        return regular.read(shared_config(name, **settings), tmp_path)

    return read


@pytest.fixture
def refuses(reads, tmp_path):
    """The error of a file, its folder left out."""

    def refuse(content, name="a.csv", **settings):
        with pytest.raises(BadInput) as error:
            reads(content, name, **settings)
        return str(error.value).replace(f"{tmp_path}/", "")

    return refuse
