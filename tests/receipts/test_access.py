import pytest

from receipts.access import PERMISSIONS, Permission, Principal, Role, require
from receipts.errors import Forbidden

# Written by hand from DESIGN's roles: change it only together with a decision about who may do what.
#                                     rep  sup  fraud priv admin till
GOLDEN = {
    Permission.READ_RECEIPTS:           "yes  yes  yes   -    -     -",
    Permission.SEARCH_RECEIPTS:         "yes  yes  yes   -    -     -",
    Permission.DELIVER_RECEIPTS:        "yes  yes  yes   -    -     -",
    Permission.READ_CUSTOMERS:          "yes  yes  yes   -    -     -",
    Permission.REVEAL_CONTACTS:         "-    yes  yes   -    -     -",
    Permission.EXPORT_RECEIPTS:         "-    yes  yes   -    -     -",
    Permission.FLAG_FRAUD:              "-    yes  yes   -    -     -",
    Permission.READ_FRAUD_PATTERNS:     "-    -    yes   -    -     -",
    Permission.READ_AUDIT:              "-    -    -     yes  -     -",
    Permission.FULFIL_PRIVACY_REQUESTS: "-    -    -     yes  -     -",
    Permission.OPERATE:                 "-    -    -     -    yes   -",
    Permission.WRITE_RECEIPTS:          "-    -    -     -    -     yes",
}  # fmt: skip
ROLES = (Role.CS_REP, Role.SUPERVISOR, Role.FRAUD_TEAM, Role.PRIVACY_OFFICER, Role.ADMIN, Role.TILL)
CELLS = [
    (role, permission, cell == "yes")
    for permission, row in GOLDEN.items()
    for role, cell in zip(ROLES, row.split(), strict=True)
]


def test_the_matrix_names_every_role_and_every_permission():
    assert set(GOLDEN) == set(Permission)
    assert set(ROLES) == set(Role) == set(PERMISSIONS)


@pytest.mark.parametrize(("role", "permission", "allowed"), CELLS)
def test_a_role_may_do_what_the_matrix_says_and_nothing_else(role, permission, allowed):
    principal = Principal("somebody", role, "scope")
    if allowed:
        require(principal, permission)
    else:
        with pytest.raises(Forbidden, match=f"The role {role} does not permit {permission}"):
            require(principal, permission)


def test_a_principal_shows_no_scope_handle_in_a_traceback():
    assert "7d6f" not in repr(Principal("rep.east", Role.CS_REP, "7d6f2c1e"))
