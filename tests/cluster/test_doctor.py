"""The doctor finds what is missing and says what to do about it."""

import socket

from cluster.doctor import examine
from configs.settings import Settings
from tests.fixtures.ports import free_block


def test_a_machine_that_runs_these_tests_can_run_the_platform(settings: Settings):
    wrong = [finding for finding in examine(settings) if not finding.good and not finding.optional]
    assert [finding for finding in wrong if not finding.what.startswith(("disk", "memory"))] == []


def test_a_taken_port_is_reported_with_the_setting_that_moves_it(settings: Settings):
    with socket.socket() as other:
        other.bind(("127.0.0.1", settings.portal.port))
        other.listen()
        found = {finding.what: finding for finding in examine(settings)}
    taken = found[f"port {settings.portal.port} for portal"]
    assert not taken.good
    assert taken.detail == "taken by another program"
    assert "RECEIPTS_PORTAL__PORT" in taken.remedy


def test_so_is_one_that_a_process_of_the_portal_needs_when_it_is_replaced(settings: Settings):
    portal = settings.portal.model_copy(update={"processes": 2, "process_port": free_block(5)})
    several = settings.model_copy(update={"portal": portal})
    with socket.socket() as other:
        other.bind(("127.0.0.1", portal.process_port + 4))
        other.listen()
        (found,) = [one for one in examine(several) if "portal's processes" in one.what]
    assert (found.good, found.detail) == (False, f"taken: {portal.process_port + 4}")
    assert "RECEIPTS_PORTAL__PROCESS_PORT" in found.remedy
    assert [one for one in examine(settings) if "portal's processes" in one.what] == []


def test_a_database_of_your_own_that_does_not_answer_is_reported(settings: Settings):
    database = settings.database.model_validate({**settings.database.model_dump(), "dsn": "host=127.0.0.1 port=1"})
    found = {finding.what: finding for finding in examine(settings.model_copy(update={"database": database}))}
    assert not found["your PostgreSQL"].good
    assert "RECEIPTS_DATABASE__DSN" in found["your PostgreSQL"].remedy


def test_a_state_directory_that_cannot_be_made_is_reported(settings: Settings, tmp_path):
    file = tmp_path / "file"
    file.write_text("")
    found = examine(settings.model_copy(update={"state_dir": file / "below"}))
    assert not next(finding for finding in found if finding.what == "state directory").good


def test_every_finding_that_can_fail_says_what_to_do(settings: Settings):
    assert [finding.what for finding in examine(settings) if not finding.remedy and not finding.good] == []
