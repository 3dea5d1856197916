"""The pipeline takes the audit trail's groups apart."""

import psycopg

from configs.settings import Settings
from data_jobs.audit_trail import project_trail
from receipts.database import DatabaseRole, connect


def test_all_groups_are_taken_apart_and_then_none_is_left(settings: Settings, owner: psycopg.Connection) -> None:
    chain, head = owner.execute("SELECT chain, head FROM audit.open_chain()").fetchone()
    for seq in range(1, 1_502):
        owner.execute("SELECT audit.extend(%s, %s, %s, '[]')", (chain, seq, head))
        (head,) = owner.execute("SELECT sha256(%s || '[]'::bytea)", (head,)).fetchone()
    with connect(settings, DatabaseRole.PIPELINE) as connection:
        assert project_trail(connection) == 1_501
        assert project_trail(connection) == 0
    assert owner.execute("SELECT projected, head FROM audit.chains").fetchone() == (1_501, head)
    assert owner.execute("SELECT count(*) FROM audit.faults").fetchone() == (0,)
