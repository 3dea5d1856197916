import json
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pyarrow as pa
import pytest
from deltalake import CommitProperties, Transaction, write_deltalake

from configs.settings import Settings
from receipts import bronze
from receipts.lake import Lake, LakeTable, lake_of

TABLE = LakeTable("silver.people", pa.schema([("person_id", pa.int64()), ("email", pa.string())]), ("person_id",))


@pytest.fixture
def lake(tmp_path):
    return Lake(str(tmp_path / "lake"))


def append(lake, rows, *transactions):
    write_deltalake(
        lake.ensure(TABLE),
        pa.table(rows, TABLE.schema),
        mode="append",
        commit_properties=CommitProperties(app_transactions=list(transactions)),
    )


def test_a_table_lies_in_the_folder_of_its_layer(lake):
    lake.ensure(TABLE)
    assert lake.uri(TABLE.name).endswith("/lake/silver/people")
    assert lake.exists(TABLE.name)
    assert not lake.exists("silver.others")


def test_a_new_table_has_its_schema_and_its_change_feed_on(lake):
    made = lake.ensure(TABLE)
    assert made.metadata().configuration["delta.enableChangeDataFeed"] == "true"
    assert pa.schema(made.schema().to_arrow()).names == TABLE.schema.names


def test_the_change_feed_tells_what_happened_since_a_version(lake):
    append(lake, {"person_id": [1, 2], "email": ["a@example.com", "b@example.com"]})
    lake.open(TABLE.name).delete("person_id = 1")
    changes = pa.table(lake.open(TABLE.name).load_cdf(starting_version=2).read_all())
    assert changes.column("_change_type").to_pylist() == ["delete"]
    assert changes.column("person_id").to_pylist() == [1]


@pytest.mark.parametrize("known", [-1, 0, 2, 3])
def test_the_newest_version_is_found_from_one_that_was_there(lake, known):
    for number in range(3):
        append(lake, {"person_id": [number], "email": ["a@example.com"]})
    assert lake.newest_version(TABLE.name, known) == lake.open(TABLE.name).version() == 3


def test_the_newest_version_is_found_where_the_log_is_cleaned_up_over_the_known_one(lake, tmp_path):
    for number in range(3):
        append(lake, {"person_id": [number], "email": ["a@example.com"]})
    lake.open(TABLE.name).create_checkpoint()
    for version in range(3):
        (tmp_path / f"lake/silver/people/_delta_log/{version:020d}.json").unlink()
    assert lake.newest_version(TABLE.name, 1) == 3


def test_only_listed_columns_leave_minima_and_maxima_in_the_log(lake, tmp_path):
    append(lake, {"person_id": [7], "email": ["zoe@example.com"]})
    log = (tmp_path / "lake/silver/people/_delta_log/00000000000000000001.json").read_text()
    assert "zoe" not in log
    added = next(entry["add"] for entry in map(json.loads, log.splitlines()) if "add" in entry)
    assert json.loads(added["stats"])["maxValues"] == {"person_id": 7}


def test_without_listed_columns_nothing_of_the_data_is_in_the_log(lake, tmp_path):
    bare = LakeTable("silver.bare", TABLE.schema)
    write_deltalake(lake.ensure(bare), pa.table({"person_id": [7], "email": ["zoe@example.com"]}), mode="append")
    log = (tmp_path / "lake/silver/bare/_delta_log/00000000000000000001.json").read_text()
    assert "zoe" not in log


def test_creating_a_table_again_keeps_its_rows(lake):
    append(lake, {"person_id": [1], "email": ["a@example.com"]})
    assert lake.ensure(TABLE).version() == 1
    assert lake.open(TABLE.name, version=0).to_pyarrow_table().num_rows == 0


def test_processes_that_create_a_table_at_once_all_get_the_same(tmp_path):
    def ensure(root):
        together.wait(timeout=60)
        return Lake(root).ensure(TABLE).version()

    for turn in range(20):
        together = Barrier(8)
        with ThreadPoolExecutor(8) as processes:
            assert set(processes.map(ensure, [str(tmp_path / f"lake{turn}")] * 8)) == {0}


def test_a_commit_remembers_its_application_transaction(lake):
    append(lake, {"person_id": [1], "email": ["a@example.com"]}, Transaction("outbox", 41))
    assert lake.open(TABLE.name).transaction_version("outbox") == 41


@pytest.mark.parametrize("table", bronze.TABLES, ids=lambda table: table.name)
def test_every_bronze_table_takes_an_envelope(lake, table):
    assert lake.ensure(table).version() == 0
    assert not {"payload", "record_key", "payload_digest"} & set(table.statistics)


def test_the_lake_of_the_settings_hides_the_secrets_of_its_store():
    lake = lake_of(Settings(lake={"root": "s3://bucket/lake", "storage_options": {"aws_secret_access_key": "geheim"}}))
    assert lake.uri("bronze.receipts") == "s3://bucket/lake/bronze/receipts"
    assert lake.storage_options == {"aws_secret_access_key": "geheim"}
    assert "geheim" not in repr(lake)
