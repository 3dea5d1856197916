"""A development platform knows its regions and somebody in every role to sign in as."""

from cluster import postgres
from cluster.seeds import PEOPLE, REGIONS, plant
from configs.settings import Settings
from receipts.access import Role
from receipts.database import DatabaseRole, connect


def test_planting_twice_changes_nothing_and_keeps_what_was_changed_by_hand(settings: Settings, owner):
    plant(postgres.admin_dsn(settings))
    owner.execute("UPDATE access.principals SET active = false WHERE principal_id = 'fraud'")
    plant(postgres.admin_dsn(settings))
    assert owner.execute("SELECT count(*) FROM access.regions").fetchone() == (len(REGIONS),)
    assert owner.execute("SELECT count(*) FROM access.principals").fetchone() == (len(PEOPLE),)
    assert owner.execute("SELECT active FROM access.principals WHERE principal_id = 'fraud'").fetchone() == (False,)


def test_each_person_sees_the_regions_of_his_scope(settings: Settings):
    plant(postgres.admin_dsn(settings))
    seen = {}
    for person in PEOPLE:
        with connect(settings, DatabaseRole.AUTH) as connection:
            scope, role, _ = connection.execute(
                "SELECT scope_id, role, display_name FROM access.open_scope(%s)", [person.principal_id]
            ).fetchone()
        with connect(settings, DatabaseRole.API) as connection:
            connection.execute("SELECT set_config('app.scope', %s, true)", [str(scope)])
            regions = connection.execute("SELECT access.my_regions()").fetchone()[0]
        seen[person.principal_id] = (role, sorted(regions))
    everywhere = sorted(REGIONS)
    assert seen == {
        "rep.east": ("cs_rep", [1]),
        "rep.west": ("cs_rep", [2]),
        "rep.all": ("cs_rep", everywhere),
        "supervisor.east": ("supervisor", [1]),
        "fraud": ("fraud_team", everywhere),
        "privacy": ("privacy_officer", everywhere),
        "admin": ("admin", everywhere),
    }


def test_every_role_of_people_has_somebody():
    assert {person.role for person in PEOPLE} == set(Role) - {Role.TILL}
