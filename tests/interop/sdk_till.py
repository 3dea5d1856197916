"""A till on the unmodified Databricks Zerobus Ingest SDK; runs in an environment of its own, away from this project.

    python sdk_till.py PLAN.json

The plan: host, tokens (workspace URL), client_id, client_secret, bearer (instead of both: a headers provider), table,
records (a file of JSON lines), batch (records a call), lookup (URL, "{}" stands for a receipt's id), lookup_token,
every (how many records lie between two receipts that are looked up right after their ack). Prints one JSON object.
"""

import json
import sys
import urllib.error
import urllib.request
from pathlib import Path

from zerobus.sdk.shared import HeadersProvider, NonRetriableException, TableProperties, ZerobusException
from zerobus.sdk.sync import ZerobusSdk


class Bearer(HeadersProvider):
    """A token that somebody else got."""

    def __init__(self, token, table):
        super().__init__()
        self._headers = [("authorization", f"Bearer {token}"), ("x-databricks-zerobus-table-name", table)]

    def get_headers(self):
        return self._headers


def main(plan):
    records = Path(plan["records"]).read_text().splitlines()
    told = {"sent": 0, "readable": 0, "unreadable": 0}
    try:
        stream = _open(plan)
        for first in range(0, len(records), plan["batch"]):
            batch = records[first : first + plan["batch"]]
            offset = stream.ingest_records_offset(batch) if len(batch) > 1 else stream.ingest_record_offset(batch[0])
            told["sent"] += len(batch)
            if plan["every"] and told["sent"] % plan["every"] == 0:
                stream.wait_for_offset(offset)
                told["readable" if _is_readable(plan, batch[-1]) else "unreadable"] += 1
        stream.flush()
        stream.close()
    except NonRetriableException as error:
        told["refused"] = str(error)
    except ZerobusException as error:
        told["failed"] = str(error)
    sys.stdout.write(json.dumps(told))


def _open(plan):
    sdk = ZerobusSdk(plan["host"], plan["tokens"])
    table = TableProperties(plan["table"])
    if plan.get("bearer") is not None:
        return sdk.create_stream(table_properties=table, headers_provider=Bearer(plan["bearer"], plan["table"]))
    return sdk.create_stream(plan["client_id"], plan["client_secret"], table)


def _is_readable(plan, record):
    request = urllib.request.Request(plan["lookup"].format(json.loads(record)["receipt_id"]))
    request.add_header("Authorization", f"Bearer {plan['lookup_token']}")
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.loads(answer.read())["receipt"] == json.loads(record)
    except urllib.error.HTTPError:
        return False


main(json.loads(Path(sys.argv[1]).read_text()))
